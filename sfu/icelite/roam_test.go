package icelite_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/sfu/icelite"
)

// at returns the path of a port of the client's NAT.
func at(port uint16) icelite.Path {
	return icelite.Path{Addr: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.7"), port)}
}

// world is a client behind a NAT, its way there and back, and the shell around an
// agent, in virtual time.
type world struct {
	t     testing.TB
	a     *icelite.Agent
	now   time.Time
	rtt   time.Duration
	lost  func() bool // whether the next datagram is, either way
	port  uint16      // that the NAT gives to what the client sends now
	open  map[uint16]bool
	due   []event
	moves []time.Time

	received, sent map[icelite.Path]int
	asked          int // checks of the selected path
}

type event struct {
	at time.Time
	do func()
}

func newWorld(t testing.TB, rtt time.Duration) *world {
	w := &world{t: t, a: icelite.New(creds, 1, start), now: start, rtt: rtt, lost: func() bool { return false }, port: 4000,
		open: map[uint16]bool{4000: true}, received: map[icelite.Path]int{}, sent: map[icelite.Path]int{}}
	w.check(true)
	w.run(time.Second)
	if p, ok := w.a.Selected(); !ok || p != at(4000) {
		t.Fatalf("not connected: %v", p)
	}
	w.moves = nil
	return w
}

func (w *world) after(d time.Duration, do func()) {
	w.due = append(w.due, event{w.now.Add(d), do})
	slices.SortStableFunc(w.due, func(x, y event) int { return x.at.Compare(y.at) })
}

// run lets time pass; the agent is woken when it wants to be.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for {
		next := end
		if len(w.due) > 0 && w.due[0].at.Before(next) {
			next = w.due[0].at
		}
		wake := w.a.Next()
		if !wake.IsZero() && wake.Before(next) {
			if next = wake; next.Before(w.now) {
				next = w.now
			}
			w.now = next
			ask, selected := w.a.Wake(w.now)
			if ask != nil {
				p, _ := w.a.Selected()
				w.asked++
				w.toClient(p, ask)
			}
			w.moved(selected)
			if again := w.a.Next(); again.Equal(wake) {
				w.t.Fatalf("the agent wants to be woken again at %v", again.Sub(start))
			}
			continue
		}
		w.now = next
		if next.Equal(end) {
			return
		}
		e := w.due[0]
		w.due = w.due[1:]
		e.do()
	}
}

// every does something again and again.
func (w *world) every(d time.Duration, do func()) {
	w.after(d, func() { do(); w.every(d, do) })
}

func (w *world) moved(yes bool) {
	if yes {
		w.moves = append(w.moves, w.now)
	}
}

// rebind gives the client another port; the old one leads nowhere.
func (w *world) rebind(port uint16) {
	w.port, w.open = port, map[uint16]bool{port: true}
}

// reached tells whether what is sent to the client arrives.
func (w *world) reached() bool {
	p, _ := w.a.Selected()
	return w.open[p.Addr.Port()]
}

func (w *world) toClient(p icelite.Path, b []byte) {
	if b == nil {
		return
	}
	w.sent[p] += len(b)
	if w.lost() || p.Addr.Addr() != at(0).Addr.Addr() {
		return
	}
	w.after(w.rtt/2, func() {
		m := decode(w.t, b)
		if m.Type != stun.BindingRequest || !w.open[p.Addr.Port()] {
			return
		}
		w.toServer(stun.MustBuild(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
			stun.NewShortTermIntegrity(creds.RemotePwd), stun.Fingerprint), at(w.port))
	})
}

func (w *world) toServer(m *stun.Message, p icelite.Path) {
	if w.lost() {
		return
	}
	w.after(w.rtt/2, func() {
		m := decode(w.t, m.Raw)
		w.received[p] += len(m.Raw)
		if m.Type == stun.BindingSuccess {
			w.moved(w.a.Response(m, p, w.now).Selected)
			return
		}
		out := w.a.Request(m, len(m.Raw), p, w.now)
		w.moved(out.Selected)
		w.toClient(p, out.Send[0])
		w.toClient(p, out.Send[1])
	})
}

// check is a check by the client.
func (w *world) check(nominate bool) { w.toServer(request(w.t, creds, nominate), at(w.port)) }

// packet is media or a report by the client.
func (w *world) packet(size int) { w.packetFrom(at(w.port), size) }

// packetFrom is an authentic packet that comes from an address, and does what the shell does.
func (w *world) packetFrom(p icelite.Path, size int) {
	if w.lost() {
		return
	}
	w.after(w.rtt/2, func() {
		w.received[p] += size
		if w.a.Validated(p) {
			w.moved(w.a.Media(p, w.now, w.now))
			return
		}
		w.toClient(p, w.a.Stray(p, size, w.now))
	})
}

func (w *world) bounded() {
	w.t.Helper()
	for p, sent := range w.sent {
		if !w.a.Validated(p) && sent > 3*w.received[p] {
			w.t.Errorf("%v got %d bytes for %d", p, sent, w.received[p])
		}
	}
}

// Whatever a client sends from its new address, the stream is there half a second and
// a round trip after it did.
func TestAClientIsFollowedSoonAfterItSendsAnything(t *testing.T) {
	clients := map[string]func(w *world){
		// A browser that watches: reports of arrivals while something arrives, receiver
		// reports each second, checks that nominate each 2.5 s.
		"browser watching": func(w *world) {
			w.every(100*time.Millisecond, func() {
				if w.reached() {
					w.packet(80)
				}
			})
			w.every(time.Second, func() { w.packet(90) })
			w.every(2500*time.Millisecond, func() { w.check(true) })
		},
		"browser publishing": func(w *world) {
			w.every(10*time.Millisecond, func() { w.packet(1100) })
			w.every(2500*time.Millisecond, func() { w.check(true) })
		},
		"small reports and nothing else": func(w *world) { w.every(700*time.Millisecond, func() { w.packet(60) }) },
		// FFmpeg: no reports, one check each few seconds, which may nominate or not.
		"checks without nomination": func(w *world) { w.every(4*time.Second, func() { w.check(false) }) },
		"checks with nomination":    func(w *world) { w.every(4*time.Second, func() { w.check(true) }) },
		"publisher that does not nominate again": func(w *world) {
			w.every(5*time.Millisecond, func() { w.packet(1100) })
			w.every(5*time.Second, func() { w.check(false) })
		},
	}
	for name, live := range clients {
		for _, ms := range []int{2, 40, 150, 400} {
			for _, later := range []int{0, 30, 990, 2400} {
				rtt, when := time.Duration(ms)*time.Millisecond, 10*time.Second+time.Duration(later)*time.Millisecond
				t.Run(fmt.Sprint(name, " ", rtt, " ", when), func(t *testing.T) {
					w := newWorld(t, rtt)
					live(w)
					w.run(when)
					w.rebind(5000)
					said := w.received[at(5000)]
					for w.received[at(5000)] == said { // until something comes from there
						w.run(time.Millisecond)
					}
					first := w.now.Add(-rtt / 2)
					w.run(500*time.Millisecond + rtt/2)
					if p, _ := w.a.Selected(); p != at(5000) || len(w.moves) != 1 {
						t.Fatalf("selected %v %v after it sent; moves: %v", p, w.now.Sub(first), w.moves)
					}
					w.run(20 * time.Second)
					if len(w.moves) != 1 {
						t.Errorf("moved %d times", len(w.moves))
					}
					w.bounded()
				})
			}
		}
	}
}

// Packets that somebody repeats from a forged address move nothing, whether the client
// talks or is silent, and are not amplified.
func TestRepeatedPacketsFromAForgedAddressMoveNothing(t *testing.T) {
	for name, live := range map[string]func(w *world){
		"talks":     func(w *world) { w.every(100*time.Millisecond, func() { w.packet(80) }) },
		"is silent": func(w *world) {},
		"is away":   func(w *world) { w.after(time.Second, func() { w.open = nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 40*time.Millisecond)
			live(w)
			w.every(7*time.Millisecond, func() { w.packetFrom(mal, 60) })
			for i := range 40 {
				w.every(time.Duration(11+i)*time.Millisecond, func() { w.packetFrom(icelite.Path{Addr: netip.AddrPortFrom(mal.Addr.Addr(), uint16(i))}, 60) })
			}
			before := w.a.Heard()
			w.run(10 * time.Second)
			if p, _ := w.a.Selected(); p != at(4000) || len(w.moves) > 0 {
				t.Errorf("selected %v", p)
			}
			w.bounded()
			if w.asked > 101 {
				t.Errorf("the client was asked %d times in ten seconds", w.asked)
			}
			if name == "is silent" && w.asked > 0 && !w.a.Heard().After(before) {
				t.Error("it was asked and did not answer")
			}
		})
	}
}

// Two addresses live, and the client sends by both: the stream stays.
func TestTwoLivingAddressesDoNotPullTheStreamToAndFro(t *testing.T) {
	w := newWorld(t, 40*time.Millisecond)
	w.open[5000] = true
	n := 0
	w.every(50*time.Millisecond, func() {
		n++
		w.port = 4000 + 1000*uint16(n/6%2) // six packets by each
		w.packet(200)
	})
	w.run(30 * time.Second)
	if len(w.moves) > 0 {
		t.Errorf("moved %d times", len(w.moves))
	}
	if w.asked > 200 {
		t.Errorf("asked %d times in thirty seconds", w.asked)
	}
}

// A NAT that gives another port each two seconds, and back: each is followed.
func TestAFlappingNATIsFollowed(t *testing.T) {
	w := newWorld(t, 40*time.Millisecond)
	w.every(100*time.Millisecond, func() { w.packet(200) })
	for i := range 20 {
		w.rebind(uint16(4000 + 1000*((i+1)%2)))
		w.run(100*time.Millisecond + 500*time.Millisecond + 40*time.Millisecond)
		if !w.reached() {
			t.Fatalf("flap %d is not followed", i)
		}
		w.run(1400 * time.Millisecond)
	}
	if len(w.moves) != 20 {
		t.Errorf("moved %d times", len(w.moves))
	}
}

// A nomination that came from an address which the client has left, repeated by
// somebody, does not bring the stream back there.
func TestARepeatedNominationFromAnAddressThatWasLeftMovesNothing(t *testing.T) {
	w := newWorld(t, 40*time.Millisecond)
	recorded := request(t, creds, true)
	w.every(100*time.Millisecond, func() { w.packet(200) })
	w.run(5 * time.Second)
	w.rebind(5000)
	w.run(2 * time.Second)
	w.moves = nil
	for range 50 {
		out := w.a.Request(decode(t, recorded.Raw), len(recorded.Raw), at(4000), w.now)
		w.moved(out.Selected)
		w.run(100 * time.Millisecond)
	}
	if p, _ := w.a.Selected(); p != at(5000) || len(w.moves) > 0 {
		t.Errorf("selected %v, moved %d times", p, len(w.moves))
	}
}

// The client goes back to an address that it used before: one round trip.
func TestANominationOfAnEarlierAddressCountsWhenItAnswers(t *testing.T) {
	w := newWorld(t, 40*time.Millisecond)
	w.open[5000] = true
	w.port = 5000
	w.check(true)
	w.run(5 * time.Second)
	w.port = 4000
	w.check(true)
	w.run(85 * time.Millisecond)
	if p, _ := w.a.Selected(); p != at(4000) {
		t.Errorf("selected %v", p)
	}
}

// With loss, a client that roams is found all the same.
func TestAClientThatRoamsOverALossyLinkIsFound(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, time.Duration(rapid.IntRange(1, 300).Draw(rt, "rtt"))*time.Millisecond)
		loss := rapid.Uint64Range(0, 3).Draw(rt, "loss, tenths")
		x := rapid.Uint64Range(1, 1<<62).Draw(rt, "seed")
		w.lost = func() bool { x ^= x << 13; x ^= x >> 7; x ^= x << 17; return x%10 < loss }
		w.every(100*time.Millisecond, func() { w.packet(100) })
		for i := range rapid.IntRange(1, 5).Draw(rt, "moves") {
			w.run(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms")) * time.Millisecond)
			w.rebind(uint16(6000 + i))
		}
		w.run(4 * time.Second)
		if !w.reached() {
			p, _ := w.a.Selected()
			rt.Fatalf("the stream is at %v, the client at %v", p, w.port)
		}
		w.bounded()
	})
}

// Whatever comes, only a path that has answered is selected, and no other gets more
// than three times what it sent.
func TestOnlyWhoAnsweredIsSelected(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, 20*time.Millisecond)
		answers := map[uint16]bool{4000: true}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			port := uint16(rapid.IntRange(4000, 4009).Draw(rt, "port"))
			p := at(port)
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0:
				m := request(t, creds, rapid.Bool().Draw(rt, "nominate"))
				w.received[p] += len(m.Raw)
				out := w.a.Request(m, len(m.Raw), p, w.now)
				w.toClient(p, out.Send[0])
				w.toClient(p, out.Send[1])
			case 1:
				w.packetFrom(p, rapid.IntRange(28, 1200).Draw(rt, "size"))
			case 2:
				w.port = port
			case 3:
				w.open[port], answers[port] = true, true
			case 4:
				delete(w.open, port)
			}
			w.run(time.Duration(rapid.IntRange(0, 700).Draw(rt, "ms")) * time.Millisecond)
			if p, _ := w.a.Selected(); !w.a.Validated(p) || !answers[p.Addr.Port()] {
				rt.Fatalf("%v was selected", p)
			}
			w.bounded()
		}
	})
}
