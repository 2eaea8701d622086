package icelite_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v4"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/sfu/icelite"
)

var (
	creds = icelite.Credentials{Ufrag: "srv1", Pwd: "serverpasswordserverpass", RemoteUfrag: "cli1", RemotePwd: "clientpasswordclientpass"}
	alice = icelite.Path{Addr: netip.MustParseAddrPort("198.51.100.7:4000")}
	mal   = icelite.Path{Addr: netip.MustParseAddrPort("203.0.113.9:53")}
	start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
)

type useCandidate struct{}

func (useCandidate) AddTo(m *stun.Message) error { m.Add(stun.AttrUseCandidate, nil); return nil }

func request(t testing.TB, c icelite.Credentials, nominate bool) *stun.Message {
	t.Helper()
	set := []stun.Setter{stun.TransactionID, stun.BindingRequest, stun.NewUsername(c.Ufrag + ":" + c.RemoteUfrag)}
	if nominate {
		set = append(set, useCandidate{})
	}
	set = append(set, stun.NewShortTermIntegrity(c.Pwd), stun.Fingerprint)
	return decode(t, stun.MustBuild(set...).Raw)
}

func decode(t testing.TB, raw []byte) *stun.Message {
	t.Helper()
	m := &stun.Message{Raw: append([]byte(nil), raw...)}
	if err := m.Decode(); err != nil {
		t.Fatal(err)
	}
	return m
}

// reply plays the client: it answers the check among the datagrams, if there is one.
func reply(t testing.TB, c icelite.Credentials, sent [2][]byte) *stun.Message {
	t.Helper()
	for _, raw := range sent {
		if raw == nil {
			continue
		}
		if m := decode(t, raw); m.Type == stun.BindingRequest {
			if err := stun.NewShortTermIntegrity(c.RemotePwd).Check(m); err != nil {
				t.Fatalf("our check is not signed with the client's password: %v", err)
			}
			return decode(t, stun.MustBuild(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
				stun.NewShortTermIntegrity(c.RemotePwd), stun.Fingerprint).Raw)
		}
	}
	return nil
}

func connect(t testing.TB, a *icelite.Agent, c icelite.Credentials, p icelite.Path, now time.Time) {
	t.Helper()
	m := request(t, c, true)
	out := a.Request(m, len(m.Raw), p, now)
	if out.Selected {
		t.Fatal("a path was selected before it answered our check")
	}
	if out = a.Response(reply(t, c, out.Send), p, now.Add(20*time.Millisecond)); !out.Validated || !out.Selected {
		t.Fatalf("the path was not selected: %+v", out)
	}
}

func TestAClientConnectsInOneRoundTrip(t *testing.T) {
	a := icelite.New(creds, 1, start)
	connect(t, a, creds, alice, start)
	if p, ok := a.Selected(); !ok || p != alice {
		t.Fatalf("selected %v %v", p, ok)
	}
	if a.RTT() != 20*time.Millisecond {
		t.Errorf("rtt %v", a.RTT())
	}
}

func TestOurCheckComesBeforeTheAnswer(t *testing.T) {
	a := icelite.New(creds, 1, start)
	m := request(t, creds, false)
	out := a.Request(m, len(m.Raw), alice, start)
	if decode(t, out.Send[0]).Type != stun.BindingRequest || decode(t, out.Send[1]).Type != stun.BindingSuccess {
		t.Error("the answer came first")
	}
}

// A check that somebody recorded and replays from another address must not move the stream there.
func TestAReplayedCheckFromAnotherAddressMovesNothing(t *testing.T) {
	a := icelite.New(creds, 1, start)
	connect(t, a, creds, alice, start)
	recorded := request(t, creds, true)
	sent, got := 0, 0
	for i := range 50 {
		out := a.Request(recorded, len(recorded.Raw), mal, start.Add(time.Duration(i)*100*time.Millisecond))
		got += len(recorded.Raw)
		for _, b := range out.Send {
			sent += len(b)
		}
		if out.Selected {
			t.Fatal("the replay moved the stream")
		}
	}
	if sent > 3*got {
		t.Errorf("sent %d bytes for %d received", sent, got)
	}
	if p, _ := a.Selected(); p != alice {
		t.Errorf("selected %v", p)
	}
}

func TestWrongPasswordsAreIgnored(t *testing.T) {
	a := icelite.New(creds, 1, start)
	wrong := creds
	wrong.Pwd = "someotherpasswordsomeother"
	m := request(t, wrong, true)
	if out := a.Request(m, len(m.Raw), alice, start); out.Authentic || out.Send[0] != nil {
		t.Error("a check with the wrong password was answered")
	}
}

// Trap 21: the NAT gives the client a new port; media follows within seconds.
func TestTrap21_NATRebindingIsFollowed(t *testing.T) {
	a := icelite.New(creds, 1, start)
	connect(t, a, creds, alice, start)
	moved := icelite.Path{Addr: netip.MustParseAddrPort("198.51.100.7:4999")}
	later := start.Add(5 * time.Second)
	m := request(t, creds, false)
	out := a.Request(m, len(m.Raw), moved, later)
	out = a.Response(reply(t, creds, out.Send), moved, later.Add(10*time.Millisecond))
	if !out.Selected {
		t.Fatal("media stayed on the dead port")
	}
}

func TestRestartKeepsTheOldPathUntilANewOneIsNominated(t *testing.T) {
	a := icelite.New(creds, 1, start)
	connect(t, a, creds, alice, start)
	fresh := icelite.Credentials{Ufrag: "srv2", Pwd: "newserverpasswordnewserver", RemoteUfrag: "cli2", RemotePwd: "newclientpasswordnewclient"}
	a.Restart(fresh)
	if p, ok := a.Selected(); !ok || p != alice {
		t.Fatal("the restart dropped the path")
	}
	m := request(t, creds, true)
	if out := a.Request(m, len(m.Raw), alice, start.Add(time.Second)); !out.Authentic {
		t.Error("a check of the previous generation was refused too early")
	}
	phone := icelite.Path{Addr: netip.MustParseAddrPort("[2001:db8::1]:6000")}
	connect(t, a, fresh, phone, start.Add(2*time.Second))
	if p, _ := a.Selected(); p != phone {
		t.Errorf("selected %v", p)
	}
	old := request(t, creds, true)
	if out := a.Request(old, len(old.Raw), alice, start.Add(3*time.Second)); out.Selected {
		t.Error("a nomination of the previous generation won over the new one")
	}
}

func TestConsentIsAskedForOnThePathInUse(t *testing.T) {
	a := icelite.New(creds, 1, start)
	if a.Consent(start.Add(time.Hour)) != nil {
		t.Fatal("consent was asked for without a path")
	}
	connect(t, a, creds, alice, start)
	now := start.Add(6 * time.Second)
	b := a.Consent(now)
	if b == nil || a.Consent(now) != nil {
		t.Fatal("one check was due")
	}
	out := a.Response(reply(t, creds, [2][]byte{b}), alice, now.Add(30*time.Millisecond))
	if !out.Authentic || a.Heard() != now.Add(30*time.Millisecond) || a.RTT() != 30*time.Millisecond {
		t.Errorf("%+v heard %v rtt %v", out, a.Heard(), a.RTT())
	}
}

// However checks come in, an address that never answered gets at most three times what it sent.
func TestNoAmplification(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := icelite.New(creds, 1, start)
		now := start
		received, sent := map[icelite.Path]int{}, map[icelite.Path]int{}
		var tt testing.T
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 2000).Draw(t, "ms")) * time.Millisecond)
			p := icelite.Path{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(1, 12).Draw(t, "host"))}), 9)}
			if rapid.Bool().Draw(t, "check") {
				m := request(&tt, creds, rapid.Bool().Draw(t, "nominate"))
				received[p] += len(m.Raw)
				for _, b := range a.Request(m, len(m.Raw), p, now).Send {
					sent[p] += len(b)
				}
			} else {
				size := rapid.IntRange(1, 1200).Draw(t, "size")
				received[p] += size
				sent[p] += len(a.Retry(p, size, now))
			}
			if _, ok := a.Selected(); ok {
				t.Fatal("a path was selected that never answered")
			}
		}
		for p := range sent {
			if sent[p] > 3*received[p] {
				t.Fatalf("%v: %d sent for %d received", p, sent[p], received[p])
			}
		}
	})
}

func TestPathsAreBounded(t *testing.T) {
	a := icelite.New(creds, 1, start)
	connect(t, a, creds, alice, start)
	for i := range 5000 {
		m := request(t, creds, true)
		a.Request(m, len(m.Raw), icelite.Path{Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}), 7)}, start.Add(time.Second))
	}
	if p, ok := a.Selected(); !ok || p != alice || !a.Validated(alice) {
		t.Error("the flood displaced the selected path")
	}
}

// Trap 38: checks for nobody cost no memory.
func TestTrap38_UnknownUfragAllocatesNothing(t *testing.T) {
	raw := request(t, creds, true).Raw
	known := map[string]int{}
	if n := testing.AllocsPerRun(1000, func() {
		if u, ok := icelite.LocalUfrag(raw); !ok || known[string(u)] != 0 {
			t.Fatal("not read")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzLocalUfrag(f *testing.F) {
	f.Add(request(f, creds, true).Raw)
	f.Add([]byte{0, 1, 0, 4, 0x21, 0x12, 0xA4, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		u, ok := icelite.LocalUfrag(b)
		if ok && (len(u) == 0 || len(u) > len(b)) {
			t.Fatal(u)
		}
	})
}

// A client that checks faster than the way there and back takes is validated all the same.
func TestALongWayIsValidated(t *testing.T) {
	for _, rtt := range []time.Duration{40 * time.Millisecond, 80 * time.Millisecond, 150 * time.Millisecond, 250 * time.Millisecond} {
		a := icelite.New(creds, 1, start)
		type answer struct {
			m  *stun.Message
			at time.Time
		}
		var coming []answer
		done := false
		for i := range 40 {
			now := start.Add(time.Duration(i) * 50 * time.Millisecond)
			for len(coming) > 0 && !coming[0].at.After(now) {
				done = a.Response(coming[0].m, alice, now).Validated || done
				coming = coming[1:]
			}
			m := request(t, creds, true)
			if r := reply(t, creds, a.Request(m, len(m.Raw), alice, now).Send); r != nil {
				coming = append(coming, answer{r, now.Add(rtt)})
			}
		}
		if !done {
			t.Errorf("never validated with a round trip of %v", rtt)
		}
	}
}

// A client that left one path for another goes on checking the first: media stays on the second.
func TestTheNewestNominationHolds(t *testing.T) {
	a := icelite.New(creds, 1, start)
	connect(t, a, creds, alice, start)
	phone := icelite.Path{Addr: netip.MustParseAddrPort("198.51.100.99:5000")}
	connect(t, a, creds, phone, start.Add(time.Second))
	m := request(t, creds, false)
	if out := a.Request(m, len(m.Raw), alice, start.Add(1100*time.Millisecond)); out.Selected {
		t.Error("a plain check of the abandoned path took the media back")
	}
}

// The selected path is not silent while media comes over it, however rarely it is checked.
func TestMediaKeepsThePath(t *testing.T) {
	a := icelite.New(creds, 1, start)
	connect(t, a, creds, alice, start)
	later := start.Add(10 * time.Second)
	a.Touch(later)
	other := icelite.Path{Addr: netip.MustParseAddrPort("198.51.100.99:5000")}
	m := request(t, creds, false)
	out := a.Request(m, len(m.Raw), other, later)
	if a.Response(reply(t, creds, out.Send), other, later).Selected {
		t.Error("a path that was never nominated took the media")
	}
}

// What an authentic check has besides is the client's to choose.
func FuzzRequest(f *testing.F) {
	f.Add(uint16(stun.AttrUseCandidate), []byte{}, uint16(stun.AttrPriority), []byte{1, 2, 3, 4})
	f.Add(uint16(stun.AttrUsername), []byte("srv1:cli1:"), uint16(stun.AttrXORMappedAddress), []byte{0, 9, 1})
	f.Fuzz(func(t *testing.T, one uint16, first []byte, two uint16, second []byte) {
		m := stun.New()
		m.Type = stun.BindingRequest
		m.WriteHeader()
		if len(first)+len(second) > 1200 || stun.TransactionID.AddTo(m) != nil || stun.NewUsername(creds.Ufrag+":"+creds.RemoteUfrag).AddTo(m) != nil {
			return
		}
		m.Add(stun.AttrType(one), first)
		m.Add(stun.AttrType(two), second)
		if stun.NewShortTermIntegrity(creds.Pwd).AddTo(m) != nil {
			return
		}
		got := &stun.Message{Raw: m.Raw}
		if got.Decode() != nil {
			return
		}
		a := icelite.New(creds, 1, start)
		sent := 0
		for i, p := range []icelite.Path{alice, mal, alice} {
			out := a.Request(got, len(got.Raw), p, start.Add(time.Duration(i)*time.Second))
			if out.Selected {
				t.Fatal("selected without an answer")
			}
			sent += len(out.Send[0]) + len(out.Send[1])
		}
		if sent > 3*3*len(got.Raw) {
			t.Fatalf("%d bytes for %d", sent, 3*len(got.Raw))
		}
	})
}
