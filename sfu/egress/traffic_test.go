package egress

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

// receiver is one viewer's end: it knows what must come, and takes nothing else.
type receiver struct {
	conn   *net.UDPConn
	opener *srtp.Context
	header rtp.Header
	buf    []byte
	plain  []byte
	due    []expected
}

// expected is one packet as it was built.
type expected struct{ header, payload []byte }

// take reads what is due and holds it against what was sent.
func (r *receiver) take() error {
	_ = r.conn.SetReadDeadline(time.Now().Add(time.Minute))
	for i, want := range r.due {
		n, _, err := r.conn.ReadFromUDPAddrPort(r.buf)
		if err != nil {
			return fmt.Errorf("packet %d of %d did not come: %w", i, len(r.due), err)
		}
		if r.plain, err = r.opener.DecryptRTP(r.plain[:0], r.buf[:n], &r.header); err != nil {
			return fmt.Errorf("packet %d of %d does not open: %w", i, len(r.due), err)
		}
		h := len(want.header)
		if len(r.plain) != h+len(want.payload) || !bytes.Equal(r.plain[:h], want.header) || !bytes.Equal(r.plain[h:], want.payload) {
			return fmt.Errorf("packet %d of %d is another one than was sent", i, len(r.due))
		}
	}
	r.due = r.due[:0]
	return nil
}

// crowd is a shard and its viewers, each at an address and under a key of its own.
type crowd struct {
	engine  *Engine
	viewers []*crowdViewer
	source  *rand.Rand
	shared  [][]byte // payloads that all viewers get
	headers []byte
}

type crowdViewer struct {
	receiver
	dest Dest
	next [3]uint16 // of three SSRCs: video, RTX, audio
	late uint16    // a number of the video that was left out
	owes bool
}

func newCrowd(t testing.TB, batch Batch, name byte, viewers int) *crowd {
	t.Helper()
	c := &crowd{engine: NewEngine(Config{Arena: 200_000}), source: rand.New(rand.NewPCG(uint64(name), 1)), headers: make([]byte, 0, 1<<16)}
	for range 8 {
		p := make([]byte, 1200)
		for i := range p {
			p[i] = byte(c.source.Uint32())
		}
		c.shared = append(c.shared, p)
	}
	for i := range viewers {
		key := append([]byte{name, byte(i)}, testKey[2:]...)
		g, err := NewGCM(key, testSalt, 0)
		if err != nil {
			t.Fatal(err)
		}
		o, err := srtp.CreateContext(key, testSalt, srtp.ProtectionProfileAeadAes128Gcm, srtp.SRTPReplayProtection(window))
		if err != nil {
			t.Fatal(err)
		}
		v := &crowdViewer{next: [3]uint16{65_500 - uint16(i), 65_000, 7}} // all soon wrap
		v.receiver = receiver{conn: listen(t, "udp4", "127.0.0.1:0"), opener: o, buf: make([]byte, 2000)}
		v.dest = Dest{Batch: batch, To: addrOf(v.conn), Sealer: g}
		c.viewers = append(c.viewers, v)
	}
	return c
}

// round sends each viewer its share of a burst, and waits until it has it: the
// receivers' buffers never overflow, so whatever is missing was lost by us.
func (c *crowd) round() (packets int, err error) {
	c.headers = c.headers[:0]
	for i := range c.shared {
		binary.BigEndian.PutUint64(c.shared[i][16:], c.source.Uint64())
	}
	size := 900 + c.source.IntN(301)
	for _, v := range c.viewers {
		c.engine.Begin(&v.dest)
		for i := range 1 + c.source.IntN(len(c.shared)) {
			p := c.shared[i][:size]
			if i > 2 && c.source.IntN(4) == 0 {
				p = p[:100+c.source.IntN(700)]
			}
			switch kind := c.source.IntN(16); {
			case kind == 0:
				c.send(v, 1, v.number(1), p) // RTX
			case kind == 1:
				c.send(v, 2, v.number(2), p[:80])
			case kind == 2 && !v.owes:
				v.late, v.owes = v.number(0), true // comes later
				fallthrough
			case kind > 2:
				c.send(v, 0, v.number(0), p)
			case v.owes:
				c.send(v, 0, v.late, p)
				v.owes = false
			}
		}
		if v.owes && v.next[0]-v.late > window/2 {
			v.owes = false
		}
	}
	c.engine.Flush()
	for _, v := range c.viewers {
		packets += len(v.due)
		if err := v.take(); err != nil {
			return 0, err
		}
	}
	return packets, nil
}

func (v *crowdViewer) number(stream int) uint16 {
	v.next[stream]++
	return v.next[stream] - 1
}

func (c *crowd) send(v *crowdViewer, stream uint32, seq uint16, p []byte) {
	at := len(c.headers)
	c.headers = append(c.headers, 0x90, 96+byte(stream), byte(seq>>8), byte(seq), 0, 0, 0, 1, 0, 0, 0, byte(stream),
		0xBE, 0xDE, 0, 1, 0x31, byte(seq>>8), byte(seq), 0)
	h := c.headers[at:]
	v.due = append(v.due, expected{h, p})
	switch c.source.IntN(3) { // an error is in Stats.Refused
	case 0:
		_ = c.engine.Packet(h, p)
	case 1:
		_ = c.engine.Packet(append(c.engine.Room(len(h)+len(p)), h...), p)
	case 2:
		b := append(append(c.engine.Room(len(h)+len(p)), h...), p...)
		_ = c.engine.Packet(b[:len(h)], b[len(h):])
	}
}

// push sends packets by two shards over one socket until enough came.
func push(t *testing.T, enough func(packets int) bool) {
	t.Helper()
	batch := New(listen(t, "udp4", "127.0.0.1:0"))
	var wg sync.WaitGroup
	total := [2]int{}
	for s := range total {
		c := newCrowd(t, batch, byte(s), 32)
		wg.Go(func() {
			for !enough(total[s]) {
				n, err := c.round()
				if err != nil {
					t.Errorf("after %d packets: %v", total[s], err)
					return
				}
				total[s] += n
			}
			st := &c.engine.Stats
			if st.Lost.Load() != 0 || st.Refused.Load() != 0 || int(st.Packets.Load()) != total[s] {
				t.Errorf("sent %d, lost %d, refused %d; %d came", st.Packets.Load(), st.Lost.Load(), st.Refused.Load(), total[s])
			}
		})
	}
	wg.Wait()
	t.Logf("%d packets", total[0]+total[1])
}

// What two shards send over one socket comes to whom it is for, as it was, once.
func TestTrafficArrivesWhole(t *testing.T) {
	end := time.Now().Add(3 * time.Second)
	push(t, func(packets int) bool { return packets > 0 && time.Now().After(end) || packets >= 1_000_000 })
}
