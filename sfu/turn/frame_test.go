package turn

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/pion/stun/v4"
	pion "github.com/pion/turn/v5"
)

func message(length int) []byte {
	b := make([]byte, 20, 64)
	binary.BigEndian.PutUint16(b[2:], uint16(length))
	binary.BigEndian.PutUint32(b[4:], 0x2112A442)
	return append(b, make([]byte, min(length, 40))...)
}

func TestFramesThatAreRefused(t *testing.T) {
	for what, b := range map[string][]byte{
		"a length that adds up to 64 KB":   message(65516), // 16 bits hold 0 of it
		"a message larger than a datagram": message(1500),
		"a length that is no multiple":     message(6),
		"another protocol":                 []byte("GET / HTTP/1.1\r\nHost: a\r\n"),
		"TLS on the plain port":            {0x16, 3, 1, 0, 5, 1, 0, 0, 1, 0},
		"a channel that does not exist":    {0x50, 0, 0, 4, 1, 2, 3, 4},
		"channel data of 64 KB":            {0x40, 0, 0xff, 0xff, 1, 2, 3, 4},
		"no cookie":                        make([]byte, 20),
		"half a message":                   message(40)[:30],
	} {
		if n, err := readFrame(bufio.NewReaderSize(bytes.NewReader(b), mtu), make([]byte, mtu)); err == nil {
			t.Errorf("%s: %d bytes read", what, n)
		}
	}
}

func TestFramesComeOneByOne(t *testing.T) {
	m := stun.MustBuild(stun.TransactionID, stun.BindingRequest, stun.NewSoftware("abc"))
	data := []byte{0x40, 1, 0, 5, 'h', 'e', 'l', 'l', 'o', 0, 0, 0} // padded to 12
	r := bufio.NewReaderSize(bytes.NewReader(append(append(append([]byte{}, m.Raw...), data...), m.Raw...)), mtu)
	for i, want := range [][]byte{m.Raw, data, m.Raw} {
		b := make([]byte, mtu)
		n, err := readFrame(r, b)
		if err != nil || !bytes.Equal(b[:n], want) {
			t.Errorf("frame %d: %x, %v", i, b[:n], err)
		}
	}
}

// What is let through is what pion takes for one message: it never waits for
// more, never finds an error, and never finds nothing (which it would read again
// for ever).
func FuzzFrame(f *testing.F) {
	f.Add(message(8))
	f.Add(message(65516))
	f.Add([]byte{0x40, 1, 0, 5, 'h', 'e', 'l', 'l', 'o', 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(b), mtu)
		for {
			buf := make([]byte, mtu)
			n, err := readFrame(r, buf)
			if err != nil {
				return
			}
			if n < 4 || n > longestFrame {
				t.Fatalf("%d bytes", n)
			}
			in := pion.NewSTUNConn(&piece{b: buf[:n]})
			if n < 9 {
				continue // pion waits for nine bytes before it looks
			}
			got, _, err := in.ReadFrom(make([]byte, mtu))
			if err != nil || got != n {
				t.Fatalf("pion reads %d of %d bytes: %v: %x", got, n, err, buf[:n])
			}
		}
	})
}
