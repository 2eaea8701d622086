package icelite

import (
	"encoding/binary"

	"github.com/pion/stun/v4"
)

// controlled is the ICE-CONTROLLED attribute (RFC 8445 section 7.1.3): the
// client always controls, as RFC 8445 section 6.1.1 says for a lite peer.
type controlled uint64

// AddTo adds the attribute to a message.
func (c controlled) AddTo(m *stun.Message) error {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(c))
	m.Add(stun.AttrICEControlled, b[:])
	return nil
}

// priority is the PRIORITY attribute of a host candidate's peer-reflexive twin
// (RFC 8445 section 5.1.2.1: type preference 110, component 1).
type priority struct{}

// AddTo adds the attribute to a message.
func (priority) AddTo(m *stun.Message) error {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 110<<24|65535<<8|255)
	m.Add(stun.AttrPriority, b[:])
	return nil
}

// LocalUfrag returns the receiver's user fragment from a Binding request, as a
// slice of b: what stands before the colon of USERNAME. It reads only as far as
// it must and allocates nothing, so that checks for nobody cost nothing.
func LocalUfrag(b []byte) ([]byte, bool) {
	const header = 20
	if len(b) < header || b[0] != 0 || b[1] != 1 || binary.BigEndian.Uint32(b[4:]) != 0x2112A442 {
		return nil, false
	}
	for at := header; at+4 <= len(b); {
		kind, size := binary.BigEndian.Uint16(b[at:]), int(binary.BigEndian.Uint16(b[at+2:]))
		at += 4
		if at+size > len(b) {
			return nil, false
		}
		if kind == uint16(stun.AttrUsername) {
			name := b[at : at+size]
			for i, c := range name {
				if c == ':' {
					return name[:i], i > 0
				}
			}
			return nil, false
		}
		at += (size + 3) &^ 3
	}
	return nil, false
}
