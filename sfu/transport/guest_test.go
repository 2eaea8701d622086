package transport

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/pion/stun/v4"
)

// guestAt is a session with its own ICE, without an agent: the test sends its checks.
type guestAt struct {
	t *testing.T
	*Guest
	name string
	s    *socket
}

func lodge(t *testing.T, e *Endpoint, name string) *guestAt {
	t.Helper()
	g, err := e.Lodge(GuestParams{Ufrag: name, RemotePwd: name + "passwordpasswordpassword",
		Check: func([]byte, Spot) {}, Record: func([]byte) {}, Receive: func([]Datagram) {}, Shut: func() {}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(g.Leave)
	return &guestAt{t, g, name, e.udp[0]}
}

// hear is a check to the guest, with nothing in it that only the client knows.
func (g *guestAt) hear(from netip.AddrPort) {
	g.s.handle(stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewUsername(g.name+":x")).Raw, from, time.Now())
}

// check sends a check of ours, and returns the client's answer to it.
func (g *guestAt) check(to netip.AddrPort) []byte {
	g.t.Helper()
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	if err := g.Write(m.Raw, Spot{At: to}); err != nil {
		g.t.Fatal(err)
	}
	return stun.MustBuild(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
		stun.NewShortTermIntegrity(g.name+"passwordpasswordpassword"), stun.Fingerprint).Raw
}

// place is an address of this machine at which nobody listens.
func placeOf(port int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(2 + port>>15)}), uint16(port&0x7fff|0x8000))
}

func TestForgedChecksStarveNoGuest(t *testing.T) {
	e := listen(t)
	for i := range maxPending/maxGuestPlaces + 1 {
		g := lodge(t, e, "flood"+strconv.Itoa(i))
		for j := range maxGuestPlaces {
			g.hear(placeOf(i*maxGuestPlaces + j))
		}
	}
	if n := len(e.guests.pending); n > maxPending {
		t.Fatalf("%d addresses wait", n)
	}
	g, at := lodge(t, e, "newcomer"), netip.MustParseAddrPort("127.0.0.1:9")
	g.hear(at)
	g.s.handle(g.check(at), at, time.Now())
	if !g.Answered(Spot{At: at}) {
		t.Error("its answer found nobody")
	}
}

func TestAGuestThatNamesAnothersAddressTakesNothing(t *testing.T) {
	e := listen(t)
	g, thief, at := lodge(t, e, "guest"), lodge(t, e, "thief"), netip.MustParseAddrPort("127.0.0.1:9")
	g.hear(at)
	thief.Name(at)
	g.s.handle(g.check(at), at, time.Now())
	if !g.Answered(Spot{At: at}) || thief.Answered(Spot{At: at}) {
		t.Error("the answer found the wrong one")
	}
}

func TestRestartsSendNoMoreToWhoWasOnlyNamed(t *testing.T) {
	e := listen(t)
	g, at := lodge(t, e, "guest"), netip.MustParseAddrPort("127.0.0.1:9")
	l, now := &link{socket: g.s, addr: at}, time.Now()
	sent := 0
	flood := func() {
		for g.Write(make([]byte, 100), Spot{At: at}) == nil {
			sent += 100
		}
	}
	for i := range 10 {
		if !g.Guest.name(l, now) {
			t.Fatal("there is no socket")
		}
		flood()
		if err := g.Rename("guest"+strconv.Itoa(i), "another"); err != nil {
			t.Fatal(err)
		}
	}
	if sent > namedBudget {
		t.Errorf("%d bytes", sent)
	}
	g.Guest.name(l, now.Add(namedRest))
	if flood(); sent < namedBudget*3/2 {
		t.Errorf("half a minute later there are no more: %d bytes in all", sent)
	}
}
