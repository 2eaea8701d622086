package relay_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/sluice-live/sluice/loadtest/impair"
	"github.com/sluice-live/sluice/loadtest/impair/relay"
)

// echo is a server that sends everything back to where it came from.
type echo struct {
	addr netip.AddrPort
	mu   sync.Mutex
	from map[netip.AddrPort]int
}

func newEcho(t *testing.T) *echo {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadBuffer(4 << 20)
	e := &echo{addr: c.LocalAddr().(*net.UDPAddr).AddrPort(), from: map[netip.AddrPort]int{}}
	var wg sync.WaitGroup
	wg.Go(func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			e.mu.Lock()
			e.from[from]++
			e.mu.Unlock()
			_, _ = c.WriteToUDPAddrPort(b[:n], from)
		}
	})
	t.Cleanup(func() { c.Close(); wg.Wait() })
	return e
}

func (e *echo) clients() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.from)
}

// start runs a relay until the test ends.
func start(t *testing.T, c relay.Config) *relay.Relay {
	t.Helper()
	r := relay.New(c)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	t.Cleanup(func() { stop(); <-done })
	return r
}

func dial(t *testing.T, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadBuffer(4 << 20)
	t.Cleanup(func() { c.Close() })
	return c
}

// number sends n numbered datagrams of a size at once: no more than a socket has room for.
func number(t *testing.T, c *net.UDPConn, n, size int) {
	t.Helper()
	for i := range n {
		b := make([]byte, size)
		binary.BigEndian.PutUint32(b, uint32(i))
		if _, err := c.Write(b); err != nil {
			t.Fatal(err)
		}
	}
}

// patience is for a machine that stands still; a moment is enough where nothing shall come.
const patience, moment = 30 * time.Second, 300 * time.Millisecond

// listen reads as many numbers as are wanted, or until none comes for a while.
func listen(c *net.UDPConn, want int, quiet time.Duration) (numbers []uint32) {
	b := make([]byte, 2048)
	for len(numbers) < want {
		_ = c.SetReadDeadline(time.Now().Add(quiet))
		n, err := c.Read(b)
		if err != nil || n < 4 {
			break
		}
		numbers = append(numbers, binary.BigEndian.Uint32(b))
	}
	return numbers
}

// hear reads what passed a link that n packets came to, and that no more comes.
func hear(t *testing.T, c *net.UDPConn, n uint64, link func() relay.Traffic) impair.Count {
	t.Helper()
	eventually(t, "all packets came to the link", func() bool { return link().Total.Packets >= n })
	total := link().Total
	if got := listen(c, int(total.Passed), patience); uint64(len(got)) != total.Passed {
		t.Errorf("%d came of %+v", len(got), total)
	}
	if got := listen(c, 1, moment); len(got) > 0 {
		t.Errorf("number %d came besides %+v", got[0], total)
	}
	return total
}

func profile(down, up impair.Path) impair.Profile {
	return impair.Profile{Down: impair.Always(down), Up: impair.Always(up)}
}

func TestEverythingPassesACleanRelayInOrder(t *testing.T) {
	server, r := newEcho(t), start(t, relay.Config{})
	s, err := r.Open(server.addr)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s.Addr())
	for range 10 {
		number(t, c, 50, 1000)
		got := listen(c, 50, patience)
		if len(got) != 50 {
			t.Fatalf("%d of 50 came back", len(got))
		}
		for i, n := range got {
			if n != uint32(i) {
				t.Fatalf("number %d came at place %d", n, i)
			}
		}
	}
	for name, traffic := range map[string]relay.Traffic{"down": s.Down(), "up": s.Up()} {
		if c := traffic.Total; c.Packets != 500 || c.Passed != 500 || c.Bytes != 500*1028 || c.Delivered != c.Bytes {
			t.Errorf("%s: %+v", name, c)
		}
	}
}

func TestEachDirectionIsImpairedByItself(t *testing.T) {
	t.Parallel()
	server, r := newEcho(t), start(t, relay.Config{Seed: 1, Profile: profile(impair.Path{Loss: 0.5}, impair.Path{})})
	s, err := r.Open(server.addr)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s.Addr())
	for n := range uint64(8) {
		number(t, c, 50, 100)
		eventually(t, "the server sent them back", func() bool { return s.Down().Total.Packets >= 50*(n+1) })
	}
	hear(t, c, 400, s.Down)
	down, up := s.Down().Total, s.Up().Total
	if up.Passed != 400 || down.Packets != 400 || down.Lost < 150 || down.Lost > 250 {
		t.Errorf("up %+v, down %+v", up, down)
	}
}

func TestAThinRelayHoldsABoundedQueue(t *testing.T) {
	thin := impair.Path{Rate: 800_000, Queue: 10_280} // a packet each 10 ms, ten in the queue
	server, r := newEcho(t), start(t, relay.Config{Profile: profile(thin, impair.Path{})})
	s, err := r.Open(server.addr)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s.Addr())
	number(t, c, 50, 1000)
	down := hear(t, c, 50, s.Down)
	if down.Overflow == 0 || down.Passed < 10 || down.Queued > 110*time.Millisecond || down.Queued < 80*time.Millisecond {
		t.Errorf("%+v", down)
	}
}

func TestEachOfAClientsSocketsIsAnotherClientToTheServer(t *testing.T) {
	t.Parallel()
	server, r := newEcho(t), start(t, relay.Config{})
	s, err := r.Open(server.addr)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		c := dial(t, s.Addr())
		number(t, c, 1, 100)
		// The relay translates sixteen, which is more than any client has.
		want, quiet := 1, patience
		if i >= 16 {
			want, quiet = 0, moment
		}
		if got := listen(c, 1, quiet); len(got) != want {
			t.Errorf("socket %d got %d answers", i, len(got))
		}
	}
	if n := server.clients(); n != 16 {
		t.Errorf("the server saw %d clients", n)
	}
}

func TestAMovedClientIsAnotherOneToTheServerAndGoesOn(t *testing.T) {
	t.Parallel()
	server, r := newEcho(t), start(t, relay.Config{})
	s, err := r.Open(server.addr)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s.Addr())
	for i := range 3 {
		number(t, c, 10, 100)
		if got := listen(c, 10, patience); len(got) != 10 {
			t.Fatalf("after %d moves %d came back", i, len(got))
		}
		if n := server.clients(); n != i+1 {
			t.Errorf("after %d moves the server saw %d clients", i, n)
		}
		if n := s.Move(); n != 1 {
			t.Errorf("%d moved", n)
		}
	}
	s.Close()
	if n := s.Move(); n != 0 {
		t.Errorf("after the end %d moved", n)
	}
}

func TestSessionsDoNotMix(t *testing.T) {
	t.Parallel()
	a, b, r := newEcho(t), newEcho(t), start(t, relay.Config{})
	one, err := r.Open(a.addr)
	if err != nil {
		t.Fatal(err)
	}
	two, err := r.OpenWith(b.addr, profile(impair.Path{Down: true}, impair.Path{}))
	if err != nil {
		t.Fatal(err)
	}
	c, d := dial(t, one.Addr()), dial(t, two.Addr())
	number(t, c, 3, 100)
	number(t, d, 5, 100)
	if got := listen(c, 3, patience); len(got) != 3 {
		t.Errorf("the first got %d", len(got))
	}
	if total := hear(t, d, 5, two.Down); total.Cut != 5 {
		t.Errorf("the second: %+v", total)
	}
	two.Switch(impair.Profile{})
	number(t, d, 5, 100)
	if got := listen(d, 5, patience); len(got) != 5 {
		t.Errorf("after the outage the second got %d", len(got))
	}
}

func TestAHeldProfileWaitsForItsBeginning(t *testing.T) {
	t.Parallel()
	p := impair.Profile{Down: impair.Course{{}, {At: time.Nanosecond, Path: impair.Path{Down: true}}}}
	server, r := newEcho(t), start(t, relay.Config{Profile: p, Held: true})
	s, err := r.Open(server.addr)
	if err != nil {
		t.Fatal(err)
	}
	c := dial(t, s.Addr())
	number(t, c, 3, 100)
	if got := listen(c, 3, patience); len(got) != 3 {
		t.Errorf("before the beginning %d came", len(got))
	}
	s.Begin()
	number(t, c, 3, 100)
	if total := hear(t, c, 3, s.Down); total.Passed != 0 || total.Packets != 3 {
		t.Errorf("after it: %+v", total)
	}
}

func TestAClosedSessionIsForgottenAndAFullRelayRefuses(t *testing.T) {
	server, r := newEcho(t), start(t, relay.Config{})
	for range 256 {
		if _, err := r.Open(server.addr); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Open(server.addr); !errors.Is(err, relay.ErrFull) {
		t.Fatalf("one too many: %v", err)
	}
	s := r.Sessions()[0]
	s.Close()
	s.Close() // twice does no harm
	if n := len(r.Sessions()); n != 255 {
		t.Errorf("%d sessions", n)
	}
	if _, err := r.Open(server.addr); err != nil {
		t.Error(err)
	}
}

func TestAnAnswerOpensASession(t *testing.T) {
	r := start(t, relay.Config{})
	out, s, err := r.Rewrite([]byte(answer))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := relay.Candidate(out); err != nil || got != s.Addr() || !bytes.Contains(out, []byte("m=video")) {
		t.Errorf("%v, %v", got, err)
	}
	if _, _, err := r.Rewrite([]byte("v=0\r\n")); !errors.Is(err, relay.ErrNoCandidate) {
		t.Errorf("an answer without candidates: %v", err)
	}
}

// BenchmarkTiming tells how far from its time a packet comes, and what the
// relay costs: run it with -cpuprofile, or look at the process.
func BenchmarkTiming(b *testing.B) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	r := relay.New(relay.Config{Profile: profile(impair.Path{}, impair.Path{Delay: 20 * time.Millisecond})})
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() { r.Run(ctx); close(done) }()
	defer func() { stop(); <-done }()
	s, err := r.Open(c.LocalAddr().(*net.UDPAddr).AddrPort())
	if err != nil {
		b.Fatal(err)
	}
	client, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(s.Addr()))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	var sum, worst time.Duration
	buf := make([]byte, 2048)
	for b.Loop() {
		begun := time.Now()
		if _, err := client.Write(buf[:1200]); err != nil {
			b.Fatal(err)
		}
		if _, err := c.Read(buf); err != nil {
			b.Fatal(err)
		}
		late := time.Since(begun) - 20*time.Millisecond
		sum, worst = sum+late, max(worst, late)
	}
	b.ReportMetric(float64(sum.Microseconds())/float64(b.N), "µs-late")
	b.ReportMetric(float64(worst.Microseconds()), "µs-worst")
}
