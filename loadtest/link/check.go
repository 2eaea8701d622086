package link

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/pion/ice/v4"
	"github.com/pion/stun/v4"
)

// Checker makes and answers STUN Binding requests of one ICE session, as the
// controlling agent. It is not safe for concurrent use.
type Checker struct {
	local, remote Credentials
	tie           uint64
	sent          [8][stun.TransactionIDSize]byte // the newest transactions
	next          int
}

// NewChecker starts an ICE session's checks.
func NewChecker(local, remote Credentials) *Checker {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand, Go 1.24)
	return &Checker{local: local, remote: remote, tie: binary.BigEndian.Uint64(b[:])}
}

// Restart replaces the credentials of both sides (RFC 8445 section 9).
func (c *Checker) Restart(local, remote Credentials) { c.local, c.remote = local, remote }

// priority of a host candidate, component 1 (RFC 8445 section 5.1.2.1), as prflx.
const priority = 110<<24 | 65535<<8 | 255

// Request makes a check that nominates at once: aggressive, and right here,
// as there is one pair only. It serves consent (RFC 7675) as well.
func (c *Checker) Request() ([]byte, error) {
	m, err := stun.Build(stun.BindingRequest, stun.TransactionID,
		stun.NewUsername(c.remote.Ufrag+":"+c.local.Ufrag),
		ice.AttrControlling(c.tie), ice.PriorityAttr(priority), ice.UseCandidate(),
		stun.NewShortTermIntegrity(c.remote.Pwd), stun.Fingerprint)
	if err != nil {
		return nil, fmt.Errorf("make a check: %w", err)
	}
	c.sent[c.next] = m.TransactionID
	c.next = (c.next + 1) % len(c.sent)
	return m.Raw, nil
}

// Read takes a STUN message. It returns the reply to send, if any, and whether
// the message was a success response to one of our checks.
func (c *Checker) Read(b []byte, from netip.AddrPort) (reply []byte, answered bool) {
	m := stun.New()
	if err := stun.Decode(b, m); err != nil {
		return nil, false
	}
	switch m.Type {
	case stun.BindingSuccess:
		if stun.NewShortTermIntegrity(c.remote.Pwd).Check(m) != nil {
			return nil, false
		}
		for _, id := range c.sent {
			if id == m.TransactionID {
				return nil, true
			}
		}
	case stun.BindingRequest:
		// A full ICE server checks us too, and only then uses the pair.
		if stun.NewShortTermIntegrity(c.local.Pwd).Check(m) != nil {
			return nil, false
		}
		out, err := stun.Build(stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
			&stun.XORMappedAddress{IP: net.IP(from.Addr().AsSlice()), Port: int(from.Port())},
			stun.NewShortTermIntegrity(c.local.Pwd), stun.Fingerprint)
		if err == nil {
			return out.Raw, false
		}
	}
	return nil, false
}
