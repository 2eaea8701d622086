package places_test

import (
	"fmt"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/hls-fallback/places"
)

func fill(p *places.Places, a netip.Addr) (n int) {
	for p.Take(a) {
		n++
	}
	return n
}

func TestOneAddressKeepsNobodyOut(t *testing.T) {
	p := places.New(1000)
	if n := fill(p, netip.MustParseAddr("192.0.2.1")); n != 500 {
		t.Errorf("one address has %d places of 1000", n)
	}
	if n := fill(p, netip.MustParseAddr("::ffff:192.0.2.1")); n != 0 {
		t.Errorf("written otherwise it has %d more", n)
	}
	for _, a := range []string{"192.0.2.2", "2001:db8::1", "2001:db8:0:1::1", "198.51.100.7"} {
		if n := fill(p, netip.MustParseAddr(a)); n != 125 {
			t.Errorf("%s has %d places", a, n)
		}
	}
	if p.Taken() != 1000 || p.Take(netip.MustParseAddr("203.0.113.9")) {
		t.Errorf("%d are taken, and there is one more", p.Taken())
	}
}

func TestAddressesOfOneSiteAreOne(t *testing.T) {
	p := places.New(1000)
	n := 0
	for i := range 2000 {
		if p.Take(netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i))) {
			n++
		}
	}
	if n != 500 {
		t.Errorf("a /64 has %d places", n)
	}
}

func TestFewPlacesAreForAnybody(t *testing.T) {
	p := places.New(2)
	if n := fill(p, netip.Addr{}); n != 2 {
		t.Errorf("%d of 2", n)
	}
}

// What is given back is there again, and nothing is forgotten or counted twice.
func TestPlacesComeBack(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.IntRange(1, 100).Draw(rt, "most")
		p := places.New(most)
		var held []netip.Addr
		for range rapid.IntRange(0, 300).Draw(rt, "steps") {
			if len(held) > 0 && rapid.Bool().Draw(rt, "leave") {
				i := rapid.IntRange(0, len(held)-1).Draw(rt, "who")
				p.Leave(held[i])
				held = append(held[:i], held[i+1:]...)
				continue
			}
			a := netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(0, 3).Draw(rt, "address"))})
			if p.Take(a) {
				held = append(held, a)
			} else if len(held) < most/2 {
				rt.Fatalf("refused with %d of %d", len(held), most)
			}
			if p.Taken() != len(held) || len(held) > most {
				rt.Fatalf("%d are taken of %d, not %d", p.Taken(), most, len(held))
			}
		}
		for _, a := range held {
			p.Leave(a)
		}
		if n := fill(p, netip.MustParseAddr("198.51.100.1")); n < min(most, 8) || n < most/2 {
			rt.Fatalf("afterwards one gets %d of %d", n, most)
		}
	})
}
