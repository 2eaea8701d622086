package feedback_test

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/sfu/feedback"
)

var start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// told is what a sender reads out of the messages: for each sequence number the arrivals in units of 250 µs from an
// unknown zero, and how often it was called missing.
type told struct {
	at      map[uint16][]int64
	missing map[uint16]int
}

// read marshals a message, lets pion parse the bytes, and takes it apart.
func (r *told) read(t interface{ Fatalf(string, ...any) }, m *rtcp.TransportLayerCC) {
	raw, err := m.Marshal()
	if err != nil {
		t.Fatalf("marshal: %v", err)
	}
	if len(raw) > 1200 {
		t.Fatalf("a message has %d bytes", len(raw))
	}
	packets, err := rtcp.Unmarshal(raw) // checks the header's length and padding as well
	if err != nil || len(packets) != 1 {
		t.Fatalf("unmarshal %x: %v", raw, err)
	}
	p, ok := packets[0].(*rtcp.TransportLayerCC)
	if !ok {
		t.Fatalf("it is read as %T", packets[0])
	}
	r.statuses(t, p)
}

func (r *told) statuses(t interface{ Fatalf(string, ...any) }, p *rtcp.TransportLayerCC) {
	seq, left, delta := p.BaseSequenceNumber, int(p.PacketStatusCount), 0
	at := int64(p.ReferenceTime) * 256
	each := func(symbol uint16) {
		if left == 0 {
			return
		}
		if symbol == rtcp.TypeTCCPacketNotReceived {
			r.missing[seq]++
		} else {
			at += p.RecvDeltas[delta].Delta / 250
			delta++
			r.at[seq] = append(r.at[seq], at)
		}
		seq++
		left--
	}
	for _, c := range p.PacketChunks {
		switch c := c.(type) {
		case *rtcp.RunLengthChunk:
			for range c.RunLength {
				each(c.PacketStatusSymbol)
			}
		case *rtcp.StatusVectorChunk:
			for _, s := range c.SymbolList {
				each(s)
			}
		}
	}
	if left != 0 || delta != len(p.RecvDeltas) {
		t.Fatalf("%d statuses are missing, %d of %d deltas used", left, delta, len(p.RecvDeltas))
	}
}

func newTold() *told { return &told{at: map[uint16][]int64{}, missing: map[uint16]int{}} }

func build(t testing.TB, f *feedback.TWCC) (*told, []*rtcp.TransportLayerCC) {
	t.Helper()
	r := newTold()
	ms := f.Build(nil, 11, 22)
	for _, m := range ms {
		r.read(t, m)
	}
	return r, ms
}

// Whatever is lost, reordered and doubled, wherever the numbers wrap, and however arrivals spread over messages: each
// received packet is told once, with its first arrival; every other one up to the newest is told missing at least once.
func TestBuildThenParseIsTheIdentity(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f feedback.TWCC
		first := rapid.Uint16().Draw(t, "first")
		n := rapid.IntRange(1, 1500).Draw(t, "packets")
		jitter := rapid.SampledFrom([]int{0, 3, 40}).Draw(t, "reorder")
		pace := rapid.SampledFrom([]int64{10, 1000, 70_000, 3_000_000, 9_000_000}).Draw(t, "pace") // µs
		lossy := rapid.SampledFrom([]int{0, 1, 5, 9}).Draw(t, "tenths lost")
		rnd := rapid.Custom(func(t *rapid.T) int { return rapid.IntRange(0, 9).Draw(t, "r") })

		r, sent, order := newTold(), map[uint16]time.Time{}, []uint16{}
		for i := range n {
			order = append(order, first+uint16(i))
		}
		for i := range order {
			if jitter > 0 && rnd.Draw(t, "swap") < 2 {
				j := min(i+rapid.IntRange(0, jitter).Draw(t, "by"), n-1)
				order[i], order[j] = order[j], order[i]
			}
		}
		now := start
		count := uint8(0)
		flush := func() {
			for _, m := range f.Build(nil, 1, 2) {
				if m.FbPktCount != count {
					t.Fatalf("message %d has number %d", count, m.FbPktCount)
				}
				count++
				r.read(t, m)
			}
			if f.Pending() != 0 {
				t.Fatalf("%d packets are left over", f.Pending())
			}
		}
		lowest, highest := n, -1
		for _, seq := range order {
			now = now.Add(time.Duration(rapid.Int64Range(0, pace).Draw(t, "gap")) * time.Microsecond)
			if rnd.Draw(t, "lost") < lossy {
				continue
			}
			f.Receive(seq, now)
			sent[seq] = now
			lowest, highest = min(lowest, int(seq-first)), max(highest, int(seq-first))
			switch rnd.Draw(t, "then") {
			case 0:
				f.Receive(seq, now.Add(time.Second)) // a duplicate
			case 1:
				flush()
			}
		}
		flush()
		check(t, r, sent)
		for i := lowest; i <= highest; i++ {
			if seq := first + uint16(i); sent[seq].IsZero() && r.missing[seq] == 0 && jitter == 0 {
				t.Fatalf("nobody was told that %d is missing", seq)
			}
		}
	})
}

// check holds what was told against what came. The zero of the reference time is free: the first packet sets it.
func check(t *rapid.T, r *told, sent map[uint16]time.Time) {
	if len(r.at) != len(sent) {
		t.Fatalf("%d packets told, %d received", len(r.at), len(sent))
	}
	var zero int64
	set := false
	for seq, at := range sent {
		got := r.at[seq]
		if len(got) != 1 {
			t.Fatalf("packet %d was told %d times", seq, len(got))
		}
		ticks := int64(at.Sub(start) / (250 * time.Microsecond))
		if !set {
			zero, set = got[0]-ticks, true
		}
		if d := got[0] - ticks - zero; d < -1 || d > 1 {
			t.Fatalf("packet %d is told %d ticks off", seq, d)
		}
	}
}

func TestNothingIsBuiltWhenNothingCame(t *testing.T) {
	var f feedback.TWCC
	if ms := f.Build(nil, 1, 2); len(ms) != 0 {
		t.Errorf("%d messages", len(ms))
	}
	f.Receive(5, start)
	if ms := f.Build(nil, 1, 2); len(ms) != 1 || ms[0].SenderSSRC != 1 || ms[0].MediaSSRC != 2 {
		t.Errorf("%v", ms)
	}
	if ms := f.Build(nil, 1, 2); len(ms) != 0 {
		t.Errorf("%d messages about nothing new", len(ms))
	}
}

func TestSteadyStreamIsOneRunLengthChunk(t *testing.T) {
	var f feedback.TWCC
	for i := range 100 {
		f.Receive(uint16(65500+i), start.Add(time.Duration(i)*time.Millisecond))
	}
	r, ms := build(t, &f)
	if len(ms) != 1 || len(ms[0].PacketChunks) != 1 || len(r.at) != 100 {
		t.Errorf("%v", ms)
	}
}

// What was missing when it was told, and came later, gets its own message with the older base.
func TestLatePacketIsToldAfterwards(t *testing.T) {
	var f feedback.TWCC
	for _, seq := range []uint16{10, 12, 13} {
		f.Receive(seq, start)
	}
	r, _ := build(t, &f)
	if r.missing[11] != 1 || len(r.at) != 3 {
		t.Errorf("first: %+v", r)
	}
	f.Receive(14, start)
	f.Receive(11, start)
	f.Receive(12, start) // a duplicate of what was told already
	r, ms := build(t, &f)
	if len(ms) != 2 || ms[0].BaseSequenceNumber != 11 || ms[1].BaseSequenceNumber != 14 || len(r.at) != 2 || len(r.missing) != 0 {
		t.Errorf("then: %d messages, %+v", len(ms), r)
	}
}

// Two late packets around some that were told received: nothing may be called missing that came.
func TestLatePacketsDoNotTakeBackWhatWasTold(t *testing.T) {
	var f feedback.TWCC
	for _, seq := range []uint16{10, 12, 13, 17, 20} {
		f.Receive(seq, start)
	}
	build(t, &f)
	for _, seq := range []uint16{11, 14, 16} {
		f.Receive(seq, start)
	}
	r, ms := build(t, &f)
	if len(ms) != 2 || len(r.at) != 3 || len(r.missing) != 1 || r.missing[15] != 1 {
		t.Errorf("%d messages: %+v", len(ms), r)
	}
}

func TestDeltasBeyondTheirFieldBeginANewMessage(t *testing.T) {
	var f feedback.TWCC
	for i, at := range []time.Duration{0, 8 * time.Second, 17 * time.Second, 8 * time.Second} {
		f.Receive(uint16(i), start.Add(at))
	}
	if r, ms := build(t, &f); len(ms) != 3 || len(r.at) != 4 {
		t.Errorf("%d messages: %+v", len(ms), r)
	}
}

// A publisher that restarts its numbering far ahead is followed, and not told that thousands are missing.
func TestRestartFarAheadIsFollowed(t *testing.T) {
	var f feedback.TWCC
	f.Receive(10, start)
	build(t, &f)
	for _, seq := range []uint16{20000, 20001, 50000} {
		f.Receive(seq, start)
	}
	if r, _ := build(t, &f); len(r.at) != 3 || len(r.missing) != 0 {
		t.Errorf("%d told, %d missing", len(r.at), len(r.missing))
	}
	f.Receive(10, start) // one turn later it is a new packet
	if r, _ := build(t, &f); len(r.at) != 1 {
		t.Errorf("%+v", r)
	}
}

func TestMemoryIsBoundedWithoutBuild(t *testing.T) {
	var f feedback.TWCC
	for i := range 100_000 {
		f.Receive(uint16(i), start)
	}
	if n := f.Pending(); n > 1<<14 {
		t.Errorf("%d packets are kept", n)
	}
	build(t, &f)
}

func TestReceiveAllocatesNothing(t *testing.T) {
	var f feedback.TWCC
	f.Receive(0, start)
	seq := uint16(0)
	if n := testing.AllocsPerRun(400, func() {
		seq++
		f.Receive(seq, start)
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
	var r feedback.REMB
	if n := testing.AllocsPerRun(400, func() { r.Receive(1200, start) }); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkReceiveAndBuild(b *testing.B) {
	var f feedback.TWCC
	var ms []*rtcp.TransportLayerCC
	for i := range b.N {
		f.Receive(uint16(i), start.Add(time.Duration(i)*time.Millisecond/2))
		if i%200 == 199 {
			ms = f.Build(ms[:0], 1, 2)
		}
	}
}
