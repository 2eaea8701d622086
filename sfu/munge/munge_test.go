package munge_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/munge"
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// source makes the packets of one layer of one epoch: perFrame packets each 33 ms, in order.
type source struct {
	epoch    media.Epoch
	layer    media.Layer
	codec    media.Codec
	seq      uint64
	ts       media.Ticks
	at       time.Time
	delay    time.Duration // from capture to arrival
	capture  bool          // capture times are known
	perFrame int
	n        int
}

func (s *source) next() *media.Packet {
	if s.perFrame == 0 {
		s.perFrame = 3
	}
	if s.codec == 0 {
		s.codec = media.H264
	}
	i := s.n % s.perFrame
	frame := s.n / s.perFrame
	p := &media.Packet{
		Epoch: s.epoch, Layer: s.layer, Track: media.VideoTrack, Codec: s.codec,
		Seq: s.seq + uint64(s.n), TS: s.ts + media.Ticks(frame*2970),
		Key: i == 0 && frame%30 == 0, FrameStart: i == 0, FrameEnd: i == s.perFrame-1, Marker: i == s.perFrame-1,
		Payload: []byte{1, byte(i), byte(frame)},
	}
	captured := s.at.Add(time.Duration(frame) * 33 * time.Millisecond)
	p.Arrival = captured.Add(s.delay)
	if s.capture {
		p.Capture = captured
	}
	s.n++
	return p
}

// frame returns the packets of the next frame.
func (s *source) frame() []*media.Packet {
	f := []*media.Packet{s.next()}
	for !f[len(f)-1].FrameEnd {
		f = append(f, s.next())
	}
	return f
}

func send(t testing.TB, m *munge.Munger, p *media.Packet, switched bool) munge.Out {
	t.Helper()
	o, ok := m.Next(p, switched, p.Arrival)
	if !ok {
		t.Fatalf("packet %d of epoch %d layer %d was not taken", p.Seq, p.Epoch, p.Layer)
	}
	return o
}

func sendAll(t testing.TB, m *munge.Munger, ps []*media.Packet, switched bool) (outs []munge.Out) {
	t.Helper()
	for i, p := range ps {
		outs = append(outs, send(t, m, p, switched && i == 0))
	}
	return outs
}

func TestFirstPacketGetsTheConfiguredNumbers(t *testing.T) {
	m := munge.New(munge.Config{ClockRate: 90000, FirstSeq: 777, FirstTS: 4242})
	if _, ok := m.Lookup(777); ok {
		t.Error("a packet was found before any was sent")
	}
	o := send(t, m, (&source{seq: 1 << 16, ts: 1 << 32, at: start}).next(), true)
	if o.Seq != 777 || o.Index != 777 || o.TS != 4242 {
		t.Errorf("got %+v", o)
	}
}

func TestDropClosesTheGap(t *testing.T) {
	m := munge.New(munge.Config{})
	s := source{seq: 70000, ts: 1 << 32, at: start, perFrame: 2}
	last := send(t, m, s.next(), true)
	for range 100 {
		m.Drop(s.next())
		o := send(t, m, s.next(), false)
		if o.Seq != last.Seq+1 {
			t.Fatalf("got %d after %d", o.Seq, last.Seq)
		}
		last = o
	}
}

func TestLatePacketTakesThePlaceLeftForItOnce(t *testing.T) {
	m := munge.New(munge.Config{FirstSeq: 10})
	s := source{seq: 70000, ts: 1 << 32, at: start, perFrame: 8}
	p := s.frame()
	send(t, m, p[0], true)
	m.Drop(p[1])
	if o := send(t, m, p[4], false); o.Seq != 13 {
		t.Fatalf("two places were to be left, got %d", o.Seq)
	}
	if !m.Left(p[2]) || m.Left(p[1]) || m.Left(p[4]) || m.Left(p[5]) {
		t.Error("exactly the missing packets have a place left")
	}
	if o := send(t, m, p[3], false); o.Seq != 12 {
		t.Errorf("got %d, want 12", o.Seq)
	}
	for _, again := range []*media.Packet{p[3], p[4], p[1], p[0]} {
		if o, ok := m.Next(again, false, start); ok {
			t.Errorf("%d was sent again as %d", again.Seq, o.Seq)
		}
	}
	m.Drop(p[2])
	if _, ok := m.Next(p[2], false, start); ok {
		t.Error("a packet was sent after it had been dropped")
	}
}

func TestSwitchInsideAFrameLeavesAHole(t *testing.T) {
	for _, c := range []struct {
		name string
		sent int
		want uint16
	}{{"whole frame", 3, 3}, {"frame cut off", 2, 3}, {"cut off early", 1, 2}} {
		m := munge.New(munge.Config{})
		a := source{seq: 70000, ts: 1 << 32, at: start}
		sendAll(t, m, a.frame()[:c.sent], true)
		b := source{layer: 1, seq: 90000, ts: 5 << 32, at: start.Add(33 * time.Millisecond)}
		if o := send(t, m, b.next(), true); o.Seq != c.want {
			t.Errorf("%s: the next source begins at %d, want %d", c.name, o.Seq, c.want)
		}
	}
}

func TestMissingMoreThanTheHistoryLeavesOneHole(t *testing.T) {
	m := munge.New(munge.Config{History: 64})
	s := source{seq: 70000, ts: 1 << 32, at: start}
	send(t, m, s.next(), true)
	s.n += 300
	if o := send(t, m, s.next(), false); o.Seq != 2 {
		t.Errorf("got %d, want one hole", o.Seq)
	}
}

func TestMapIsWhatThePacketsSay(t *testing.T) {
	m := munge.New(munge.Config{FirstTS: 0xfffffff0})
	s := source{seq: 70000, ts: 1 << 32, at: start}
	for i := range 20 {
		p := s.next()
		if o := send(t, m, p, i == 0); o.TS != m.Map(p.TS) {
			t.Fatalf("packet has %d, Map says %d", o.TS, m.Map(p.TS))
		}
	}
}

// When spatial layers are left out, the last packet that is sent of a frame must end it.
func TestMarkerMovesToTheTopForwardedSpatialLayer(t *testing.T) {
	m := munge.New(munge.Config{})
	m.Top(0)
	base := &media.Packet{Codec: media.VP9, Seq: 70000, Payload: []byte{0x08 | 0x04, 0}}
	if !send(t, m, base, true).Marker {
		t.Error("VP9: the end of the layer frame was not marked")
	}
	open := &media.Packet{Codec: media.VP9, Seq: 70001, Payload: []byte{0x08, 0}}
	if send(t, m, open, false).Marker {
		t.Error("VP9: a packet inside the layer frame was marked")
	}
	av1 := &media.Packet{Codec: media.AV1, Seq: 70002, Payload: []byte{0}, Descriptor: []byte{0x40, 0, 0}}
	if !send(t, m, av1, false).Marker {
		t.Error("AV1: end_of_frame was not marked")
	}
	m.Top(255)
	base.Seq = 70003
	if send(t, m, base, false).Marker {
		t.Error("the publisher's marker counts when nothing is left out")
	}
}

func TestNextAllocatesNothing(t *testing.T) {
	for _, c := range []media.Codec{media.H264, media.VP8} {
		m := munge.New(munge.Config{})
		p := &media.Packet{Codec: c, Seq: 70000, TS: 1 << 32, Arrival: start, Payload: []byte{0x90, 0xf0, 0x81, 2, 3, 0x44, 0, 0}}
		if n := testing.AllocsPerRun(1000, func() {
			p.Seq++
			p.TS += 3000
			o, _ := m.Next(p, p.Seq%100 == 0, start)
			m.Lookup(o.Seq)
			p.Seq += 2
			m.Drop(p)
			p.Seq--
			m.Left(p)
			m.Next(p, false, start)
			p.Seq++
		}); n != 0 {
			t.Errorf("%v: %v allocations per packet", c, n)
		}
	}
}

// In order and without loss, whatever is dropped, the viewer sees contiguous numbers.
func TestInOrderIsContiguous(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := munge.New(munge.Config{FirstSeq: rapid.Uint16().Draw(t, "first")})
		s := source{seq: rapid.Uint64Range(1<<16, 1<<40).Draw(t, "seq"), ts: 1 << 32, at: start}
		p := s.next()
		o, _ := m.Next(p, true, p.Arrival)
		for range rapid.IntRange(1, 2000).Draw(t, "packets") {
			p := s.next()
			if rapid.Bool().Draw(t, "drop") {
				m.Drop(p)
				continue
			}
			next, ok := m.Next(p, false, p.Arrival)
			if !ok || next.Index != o.Index+1 || next.Seq != uint16(next.Index) {
				t.Fatalf("%v %+v after %+v", ok, next, o)
			}
			o = next
		}
	})
}

// Audio has no frames over several packets, so a switch leaves no hole.
func TestAudioSwitchLeavesNoHole(t *testing.T) {
	m := munge.New(munge.Config{ClockRate: 48000})
	p := &media.Packet{Track: media.AudioTrack, Codec: media.Opus, Seq: 70000, TS: 1 << 32, Arrival: start, Payload: []byte{1}}
	send(t, m, p, true)
	again := *p
	again.Epoch, again.Arrival = 1, start.Add(20*time.Millisecond)
	if o := send(t, m, &again, true); o.Seq != 1 || o.TS != 960 {
		t.Errorf("got %+v", o)
	}
}

func TestNewestIsTheLastInOrder(t *testing.T) {
	m := munge.New(munge.Config{FirstSeq: 5})
	if _, ok := m.Newest(); ok {
		t.Error("nothing was sent")
	}
	send(t, m, (&source{seq: 70000, at: start}).next(), true)
	if i, ok := m.Newest(); !ok || i != 5 {
		t.Errorf("%d %v", i, ok)
	}
}

func BenchmarkNext(b *testing.B) {
	for _, c := range []media.Codec{media.H264, media.VP8} {
		b.Run(c.String(), func(b *testing.B) {
			m := munge.New(munge.Config{})
			p := &media.Packet{Codec: c, Seq: 70000, TS: 1 << 32, Arrival: start, Payload: vp8Payload(1, 2, 3, 0)}
			b.ReportAllocs()
			for i := range b.N {
				p.Seq++
				if i%10 == 0 {
					p.TS += 3000
					p.Arrival = p.Arrival.Add(33 * time.Millisecond)
				}
				m.Next(p, i == 0, start)
			}
		})
	}
}

// The memory reaches exactly as far as the configuration says, for late packets and for answers.
func TestHistoryReachesAsFarAsConfigured(t *testing.T) {
	const history = 64
	for _, newer := range []int{history - 2, history - 1} {
		m := munge.New(munge.Config{History: history})
		s := source{seq: 70000, ts: 1 << 32, at: start}
		for range 100 {
			send(t, m, s.next(), s.n == 1)
		}
		late, fits := s.next(), newer < history-1
		for range newer {
			s.n++
		}
		newest := send(t, m, s.next(), false)
		if o, ok := m.Next(late, false, start); ok != fits || ok && o.Seq != 100 {
			t.Errorf("%d newer: %v %+v", newer+1, ok, o)
		}
		if _, ok := m.Lookup(newest.Seq - history); ok {
			t.Errorf("a packet is remembered beyond the history")
		}
	}
}

func TestManyEpochsAreNotMixedUp(t *testing.T) {
	m := munge.New(munge.Config{})
	for e := range media.Epoch(700) {
		send(t, m, (&source{epoch: e, seq: 70000, at: start, perFrame: 1}).next(), true)
		for back := range e + 1 {
			ref, ok := m.Lookup(uint16(e - back))
			if ok && ref.Epoch != e-back || !ok && back < 4 && back <= (e+1)%256 { // all is forgotten once in 256
				t.Fatalf("epoch %d: %d packets back: %v %+v", e, back, ok, ref)
			}
		}
	}
}

// A ring that holds too little time grows, and forgets nothing of what it had; one that holds enough stays small.
func TestTheMemoryGrowsWithTheRate(t *testing.T) {
	for _, c := range []struct {
		every time.Duration
		want  uint64
	}{{20 * time.Millisecond, 64}, {5 * time.Millisecond, 128}, {time.Millisecond, 256}} {
		m := munge.New(munge.Config{History: 64, Most: 256})
		at := time.Unix(1000, 0)
		for i := range uint64(2000) {
			at = at.Add(c.every)
			p := &media.Packet{Codec: media.H264, Seq: 1<<16 + i, TS: media.Ticks(i * 3000), Marker: true, Payload: []byte{1}, Arrival: at}
			out, ok := m.Next(p, i == 0, at)
			if !ok {
				t.Fatal("a packet was not numbered")
			}
			for _, back := range []uint64{0, min(i, 63)} {
				if ref, ok := m.Lookup(uint16(out.Index - back)); !ok || ref.Seq != p.Seq-back {
					t.Fatalf("%v apart: %d packets behind number %d is %+v, %v", c.every, back, i, ref, ok)
				}
			}
		}
		newest, _ := m.Newest()
		if _, ok := m.Lookup(uint16(newest - c.want + 1)); !ok {
			t.Errorf("%v apart: less than %d are remembered", c.every, c.want)
		}
		if _, ok := m.Lookup(uint16(newest - c.want)); ok {
			t.Errorf("%v apart: more than %d are remembered", c.every, c.want)
		}
	}
}
