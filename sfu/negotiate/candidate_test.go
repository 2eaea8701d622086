package negotiate_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/pion/ice/v4"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"pgregory.net/rapid"
)

// Every candidate is read by pion/ice as what it was made from.
func TestCandidatesAreUnderstood(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SampledFrom([]string{"192.0.2.1", "2001:db8::1", "::ffff:192.0.2.7", "fe80::1%eth0", "127.0.0.1"}).Draw(t, "ip")
		port, tcp := rapid.Uint16Min(1).Draw(t, "port"), rapid.Bool().Draw(t, "tcp")
		ip := netip.MustParseAddr(b)
		c, err := ice.UnmarshalCandidate(negotiate.Candidate(ip, port, tcp, rapid.Int().Draw(t, "preference")))
		if err != nil {
			t.Fatal(err)
		}
		if c.Address() != ip.Unmap().WithZone("").String() || c.Port() != int(port) || c.Component() != 1 || c.NetworkType().IsTCP() != tcp ||
			c.Type() != ice.CandidateTypeHost || tcp != (c.TCPType() == ice.TCPTypePassive) {
			t.Fatalf("%s became %s", b, c)
		}
	})
}

// Priorities follow RFC 8445 section 5.1.2: any UDP before any TCP, then the preference.
func TestCandidatesAreRanked(t *testing.T) {
	ip, last := netip.MustParseAddr("192.0.2.1"), uint32(1<<32-1)
	for _, c := range []struct {
		tcp        bool
		preference int
	}{{false, 70000}, {false, 5}, {false, -1}, {true, 65535}, {true, 0}} {
		made, err := ice.UnmarshalCandidate(negotiate.Candidate(ip, 1, c.tcp, c.preference))
		if err != nil || made.Priority() >= last {
			t.Fatalf("%+v: %v %v", c, made, err)
		}
		last = made.Priority()
	}
	v4, tcp := negotiate.Candidate(ip, 1, false, 1), negotiate.Candidate(ip, 1, true, 1)
	if a, b := strings.Fields(v4)[0], strings.Fields(tcp)[0]; a == b || len(a) > 32 || a != strings.Fields(negotiate.Candidate(ip, 2, false, 9))[0] {
		t.Errorf("foundations %s and %s", a, b)
	}
}
