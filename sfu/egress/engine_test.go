package egress

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/pion/srtp/v3"
	"pgregory.net/rapid"
)

// wire is a Batch that keeps what it is given.
type wire struct {
	writes [][]Msg
	taken  map[*Addr][][]byte
	void   bool
}

func (w *wire) Write(msgs []Msg) (sent int, err error) {
	if w.void {
		for i := range msgs {
			sent += msgs[i].Count()
		}
		return sent, nil
	}
	if w.taken == nil {
		w.taken = map[*Addr][][]byte{}
	}
	kept := []Msg{}
	for _, m := range msgs {
		m.Buf = bytes.Clone(m.Buf)
		for i := range m.Count() {
			w.taken[m.To] = append(w.taken[m.To], m.Datagram(i))
			sent++
		}
		kept = append(kept, m)
	}
	w.writes = append(w.writes, kept)
	return sent, nil
}

// plainly is a Sealer that adds two bytes and changes nothing.
type plainly struct{}

func (*plainly) Overhead() int { return 2 }

func (*plainly) Seal(dst, header, payload []byte) ([]byte, error) {
	if cap(dst)-len(dst) < len(header)+len(payload)+2 {
		return dst, ErrNoRoom
	}
	return append(append(append(dst, header...), payload...), 0xAA, 0xBB), nil
}

func dest(w Batch, n int) *Dest {
	ap := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(n+1))
	return &Dest{Batch: w, To: NewAddr(ap), Sealer: &plainly{}}
}

// sized makes a packet of n bytes as it leaves plainly.
func sized(n int) (head, body []byte) {
	return append([]byte{0x80, 96}, make([]byte, 10)...), make([]byte, n-14)
}

// shape tells the messages of a write: to whom, how many, of which size.
func shape(w *wire) string {
	var s string
	for _, msgs := range w.writes {
		s += "["
		for i := range msgs {
			if i > 0 {
				s += " "
			}
			s += fmt.Sprintf("%d:%dx%d", msgs[i].To.AddrPort().Port(), msgs[i].Count(), msgs[i].Size)
			if last := msgs[i].Datagram(msgs[i].Count() - 1); len(last) < msgs[i].Size {
				s += fmt.Sprintf("-%d", len(last))
			}
		}
		s += "]"
	}
	return s
}

// Packets of one viewer share a message while their sizes allow it, and viewers a write.
func TestRunsMerge(t *testing.T) {
	for _, tc := range []struct {
		name  string
		cfg   Config
		sizes [][]int // by viewer
		want  string
	}{
		{"equal ones", Config{}, [][]int{{1000, 1000, 1000}}, "[1:3x1000]"},
		{"viewers", Config{}, [][]int{{1000, 1000}, {1000, 1000}}, "[1:2x1000 2:2x1000]"},
		{"a shorter one ends its run", Config{}, [][]int{{1000, 1000, 500, 1000}}, "[1:3x1000-500 1:1x1000]"},
		{"a longer one begins the next", Config{}, [][]int{{999, 999, 1000, 1000}}, "[1:2x999 1:2x1000]"},
		{"longer and longer", Config{}, [][]int{{100, 200, 300}}, "[1:1x100 1:1x200 1:1x300]"},
		{"16 at once", Config{}, [][]int{{20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20, 20}}, "[1:16x20 1:2x20]"},
		{"fewer at once", Config{Run: 2}, [][]int{{20, 20, 20}}, "[1:2x20 1:1x20]"},
		{"no message above 65,000 bytes", Config{}, [][]int{{30_000, 30_000, 30_000}}, "[1:2x30000 1:1x30000]"},
		{"none", Config{}, [][]int{{}, {100}}, "[2:1x100]"},
		{"a full arena is written", Config{Arena: 2500}, [][]int{{1000, 1000}, {1000, 1000}}, "[1:2x1000][2:2x1000]"},
		{"rounded", Config{Round: 16}, [][]int{{994, 994, 993, 992, 700}}, "[1:5x994-706]"},
		{"small ones are not", Config{Round: 16}, [][]int{{99, 98}}, "[1:2x99-98]"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &wire{}
			e := NewEngine(tc.cfg)
			for i, sizes := range tc.sizes {
				e.Begin(dest(w, i))
				for _, n := range sizes {
					if err := e.Packet(sized(n)); err != nil {
						t.Fatal(err)
					}
				}
			}
			e.Flush()
			if got := shape(w); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
		})
	}
}

// A write takes 64 messages at the most, and goes to one socket.
func TestWritesAreBoundedAndOfOneSocket(t *testing.T) {
	var socks [3]wire
	e := NewEngine(DefaultConfig())
	for i := range 500 {
		e.Begin(dest(&socks[i%3], i))
		_ = e.Packet(sized(100))
		_ = e.Packet(sized(90))
		_ = e.Packet(sized(95))
	}
	e.Flush()
	e.Flush() // nothing is left
	seen := 0
	for i := range socks {
		for _, msgs := range socks[i].writes {
			if len(msgs) == 0 || len(msgs) > maxMessages {
				t.Errorf("a write of %d messages", len(msgs))
			}
			for _, m := range msgs {
				if port := int(m.To.AddrPort().Port()); (port-1)%3 != i {
					t.Errorf("socket %d writes to %d", i, port)
				}
				seen += m.Count()
			}
		}
	}
	if seen != 1500 || e.Stats.Packets.Load() != 1500 || e.Stats.Lost.Load() != 0 {
		t.Errorf("%d of 1500 packets", seen)
	}
	if n := e.Stats.Writes.Load(); n > 60 {
		t.Errorf("%d writes", n)
	}
}

// Whatever viewers, sizes, sockets and ways of handing packets over: each viewer
// gets its packets, whole, in order, and nobody else's.
func TestEveryPacketArrivesOnce(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var socks [2]wire
		e := NewEngine(Config{Arena: rapid.IntRange(4000, 60_000).Draw(r, "arena"), Run: rapid.IntRange(0, 20).Draw(r, "run"),
			Round: rapid.SampledFrom([]int{0, 0, 16}).Draw(r, "round")})
		want := map[*Addr][][]byte{}
		var dests []*Dest
		for i := range rapid.IntRange(1, 5).Draw(r, "viewers") {
			dests = append(dests, dest(&socks[i%2], i))
		}
		counter := uint64(0)
		for range rapid.IntRange(1, 120).Draw(r, "packets") {
			d := rapid.SampledFrom(dests).Draw(r, "to")
			e.Begin(d)
			h, p := sized(rapid.OneOf(rapid.Just(1000), rapid.IntRange(14, 1400)).Draw(r, "size"))
			counter++
			binary.BigEndian.PutUint64(h[4:], counter)
			full := append(bytes.Clone(h), p...)
			switch rapid.SampledFrom([]string{"apart", "header in place", "in place", "unused room"}).Draw(r, "how") {
			case "header in place":
				h = append(e.Room(len(full)+20), h...)
			case "in place":
				b := append(e.Room(len(full)), full...)
				h, p = b[:12], b[12:]
			case "unused room":
				_ = append(e.Room(100), "what was never sent"...)
			}
			if err := e.Packet(h, p); err != nil {
				r.Fatal(err)
			}
			want[d.To] = append(want[d.To], full)
			if rapid.IntRange(0, 30).Draw(r, "flush") == 0 {
				e.Flush()
			}
		}
		e.Flush()
		for i, d := range dests {
			got := socks[i%2].taken[d.To]
			if len(got) != len(want[d.To]) {
				r.Fatalf("%d packets for viewer %d, want %d", len(got), i, len(want[d.To]))
			}
			for k := range got {
				if !bytes.Equal(unpadded(got[k][:len(got[k])-2]), want[d.To][k]) {
					r.Fatalf("viewer %d's packet %d differs", i, k)
				}
			}
		}
	})
}

func unpadded(b []byte) []byte {
	if b[0]&0x20 == 0 {
		return b
	}
	b = b[:len(b)-int(b[len(b)-1])]
	b[0] &^= 0x20
	return b
}

func TestWhatCannotBeSentIsCounted(t *testing.T) {
	e := NewEngine(Config{Arena: 1000})
	if err := e.Packet(sized(100)); err == nil {
		t.Error("a packet to nobody")
	}
	lossy := &half{}
	e.Begin(dest(lossy, 1))
	if e.Packet(sized(1001)) == nil || e.Room(1001) != nil {
		t.Error("a packet that never fits")
	}
	if e.Packet(make([]byte, 11), nil) == nil {
		t.Error("half a header")
	}
	for range 4 {
		if err := e.Packet(sized(100)); err != nil {
			t.Error(err)
		}
	}
	e.Flush()
	if s := &e.Stats; s.Refused.Load() != 3 || s.Packets.Load() != 2 || s.Lost.Load() != 2 || s.Messages.Load() != 1 {
		t.Errorf("refused %d, sent %d, lost %d, in %d messages", s.Refused.Load(), s.Packets.Load(), s.Lost.Load(), s.Messages.Load())
	}
}

// half takes half of each message.
type half struct{}

func (*half) Write(msgs []Msg) (sent int, err error) {
	for i := range msgs {
		sent += msgs[i].Count() / 2
	}
	return sent, nil
}

// Rounded packets open as what they were, with padding that receivers take off.
func TestRoundedPacketsOpen(t *testing.T) {
	w := &wire{}
	e := NewEngine(Config{Round: 16})
	d := dest(w, 1)
	g, err := NewGCM(testKey, testSalt, 0)
	if err != nil {
		t.Fatal(err)
	}
	d.Sealer = g
	e.Begin(d)
	var want [][]byte
	for i := range uint16(64) {
		h, p := header(1, i), make([]byte, 600+i)
		want = append(want, append(bytes.Clone(h), p...))
		switch i % 3 {
		case 0:
			h = append(e.Room(2000), h...)
		case 1:
			b := append(append(e.Room(2000), h...), p...)
			h, p = b[:len(h)], b[len(h):]
		}
		if err := e.Packet(h, p); err != nil {
			t.Fatal(err)
		}
	}
	e.Flush()
	o := opener(t, srtp.ProtectionProfileAeadAes128Gcm, testSalt)
	for i, b := range w.taken[d.To] {
		opened, err := o.DecryptRTP(nil, b, nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(opened)%16 != 0 || !bytes.Equal(unpadded(opened), want[i]) {
			t.Errorf("packet %d has %d bytes, was %d", i, len(opened), len(want[i]))
		}
	}
}

func TestGatheringAllocatesNothing(t *testing.T) {
	w := &wire{void: true}
	e := NewEngine(Config{Arena: 50_000, Round: 16})
	var dests []*Dest
	for i := range 20 {
		d := dest(w, i)
		g, err := NewGCM(testKey, testSalt, 0)
		if err != nil {
			t.Fatal(err)
		}
		d.Sealer = g
		dests = append(dests, d)
	}
	h, p := sized(1100)
	seq := uint16(0)
	if n := testing.AllocsPerRun(100, func() {
		for range 8 {
			seq++
			h[2], h[3] = byte(seq>>8), byte(seq)
			for _, d := range dests {
				e.Begin(d)
				b := append(e.Room(1200), h...)
				if err := e.Packet(b, p); err != nil {
					t.Fatal(err)
				}
			}
		}
		e.Flush()
	}); n != 0 {
		t.Errorf("%v allocations for each burst", n)
	}
}
