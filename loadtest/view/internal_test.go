package view

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"pgregory.net/rapid"
)

func TestHeadersAreReadAsPionWritesThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rtp.Header{Version: 2, Marker: rapid.Bool().Draw(t, "marker"), PayloadType: rapid.Uint8Range(0, 127).Draw(t, "pt"),
			SequenceNumber: rapid.Uint16().Draw(t, "seq"), Timestamp: rapid.Uint32().Draw(t, "ts"), SSRC: rapid.Uint32().Draw(t, "ssrc"),
			CSRC: rapid.SliceOfN(rapid.Uint32(), 0, 15).Draw(t, "csrc")}
		wide := rapid.Uint16().Draw(t, "wide")
		wideID, captureID := uint8(3), uint8(1)
		if rapid.Bool().Draw(t, "two bytes") {
			wideID, captureID = 200, 100
		}
		capture := rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "capture")
		has := rapid.Bool().Draw(t, "extensions")
		if has {
			// The id 2 is nobody's and must be passed over.
			for id, b := range map[uint8][]byte{2: {9, 9, 9}, wideID: {byte(wide >> 8), byte(wide)}, captureID: capture} {
				if err := want.SetExtension(id, b); err != nil {
					want.Extensions, want.Extension = nil, false
					has = false // a mixture of forms, by the order of the map
					break
				}
			}
		}
		b, err := (&rtp.Packet{Header: want, Payload: []byte{1, 2, 3}}).Marshal()
		if err != nil {
			t.Fatal(err)
		}
		var h header
		if !h.parse(b, ids{wide: wideID, capture: captureID}) {
			t.Fatalf("%x was not read", b)
		}
		if h.marker != want.Marker || h.pt != want.PayloadType || h.seq != want.SequenceNumber || h.ts != want.Timestamp || h.ssrc != want.SSRC || h.size != len(b)-3 {
			t.Fatalf("%+v of %+v", h, want)
		}
		if h.hasWide != has || has && (h.wide != wide || !slices.Equal(h.capture, capture)) {
			t.Fatalf("extensions %+v, want %d and %x", h, wide, capture)
		}
		for i := range h.size {
			if h.parse(b[:i], ids{wide: wideID, capture: captureID}) && i < 12 {
				t.Fatalf("%d bytes passed as a header", i)
			}
		}
	})
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte{0x90, 102, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0x31, 1, 2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var h header
		if h.parse(b, ids{wide: 3, capture: 1}) && h.size > len(b) {
			t.Error("the header is longer than the packet")
		}
	})
}

// arrivalsOf reads a feedback as its receiver would.
func arrivalsOf(t *rapid.T, b []byte) (base uint16, at []Instant) {
	var f rtcp.TransportLayerCC
	if err := f.Unmarshal(b); err != nil {
		t.Fatalf("%v: %x", err, b)
	}
	now := Instant(f.ReferenceTime) * Instant(referenceUnit)
	deltas := f.RecvDeltas
	take := func(symbol uint16) {
		if len(at) == int(f.PacketStatusCount) {
			return
		}
		if symbol == rtcp.TypeTCCPacketNotReceived {
			at = append(at, 0)
			return
		}
		now += Instant(deltas[0].Delta) * 1000
		deltas = deltas[1:]
		at = append(at, now)
	}
	for _, c := range f.PacketChunks {
		switch c := c.(type) {
		case *rtcp.RunLengthChunk:
			for range c.RunLength {
				take(c.PacketStatusSymbol)
			}
		case *rtcp.StatusVectorChunk:
			for _, s := range c.SymbolList {
				take(s)
			}
		}
	}
	if len(at) != int(f.PacketStatusCount) || len(deltas) != 0 {
		t.Fatalf("%d statuses of %d, %d deltas are left", len(at), f.PacketStatusCount, len(deltas))
	}
	return f.BaseSequenceNumber, at
}

// Whatever is lost, late or doubled: the sender learns each packet that came,
// to a quarter of a millisecond, and of each feedback where the last ended.
func TestFeedbackTellsEveryArrivalOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var w Wide
		next := rapid.Uint16().Draw(t, "first")
		now := 100*Instant(referenceUnit) + Instant(rapid.IntRange(0, 1e8).Draw(t, "start"))
		expected := next
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			sent := map[uint16]Instant{}
			var order []uint16
			for i := range rapid.IntRange(1, 200).Draw(t, "packets") {
				if i > 0 && rapid.IntRange(0, 9).Draw(t, "lost") == 0 {
					next++
				}
				order = append(order, next)
				next++
			}
			if n := len(order); n > 3 && rapid.Bool().Draw(t, "swap") {
				order[n-2], order[n-3] = order[n-3], order[n-2]
			}
			for _, seq := range order {
				now += Instant(rapid.SampledFrom([]int{0, 0, 250_000, 10_000_000, 90_000_000}).Draw(t, "gap"))
				sent[seq] = now
				w.Arrived(seq, now)
			}
			w.Arrived(order[0], now) // twice
			b, told := w.Append(nil, 1, 2)
			if !told || len(b)%4 != 0 {
				t.Fatalf("told %v, %d bytes", told, len(b))
			}
			base, at := arrivalsOf(t, b)
			if base != expected {
				t.Fatalf("begins at %d, the last ended before %d", base, expected)
			}
			for i, a := range at {
				want := sent[base+uint16(i)]
				if d := (a - want).abs(); want == 0 && a != 0 || want != 0 && d > Instant(deltaUnit) {
					t.Fatalf("packet %d: told %d, came %d", i, a, want)
				}
			}
			expected = next
		}
		if _, told := w.Append(nil, 1, 2); told {
			t.Fatal("told of nothing")
		}
	})
}

func (i Instant) abs() Instant { return max(i, -i) }

func TestReportsAreReadByPion(t *testing.T) {
	b := appendPLI(nil, 1, 2)
	b = appendNACK(b, 1, 2, []uint16{65530, 65535, 3, 100, 117})
	begin := len(b)
	b = append(appendHead(b, 1, typeRR, 7), 0, 0, 0, 1)
	b = appendBlock(b, block{ssrc: 5, highest: 70000, lost: 9, heard: heard{middle: 77, at: Instant(time.Second)}}, 3*Instant(time.Second))
	packets, err := rtcp.Unmarshal(b)
	if err != nil || len(packets) != 3 || len(b) != begin+32 {
		t.Fatal(err, len(packets))
	}
	if p, ok := packets[0].(*rtcp.PictureLossIndication); !ok || p.SenderSSRC != 1 || p.MediaSSRC != 2 {
		t.Errorf("%+v", packets[0])
	}
	var missing []uint16
	for _, pair := range packets[1].(*rtcp.TransportLayerNack).Nacks {
		missing = append(missing, pair.PacketList()...)
	}
	if !slices.Equal(missing, []uint16{65530, 65535, 3, 100, 117}) {
		t.Errorf("asked for %v", missing)
	}
	r := packets[2].(*rtcp.ReceiverReport).Reports[0]
	if r.SSRC != 5 || r.LastSequenceNumber != 70000 || r.TotalLost != 9 || r.LastSenderReport != 77 || r.Delay != 2<<16 {
		t.Errorf("%+v", r)
	}
	sr, err := (&rtcp.SenderReport{SSRC: 8, NTPTime: 0x1111222233334444}).Marshal()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	senderReports(append(b, sr...), func(ssrc, middle uint32) {
		if n++; ssrc != 8 || middle != 0x22223333 {
			t.Errorf("%d %x", ssrc, middle)
		}
	})
	if n != 1 {
		t.Errorf("%d sender reports", n)
	}
}

func TestTheFanIsFromTheFirstViewerToTheLast(t *testing.T) {
	f := fan{spread: newHistogram()}
	for i := range Instant(10) {
		f.add(Instant(time.Hour), Instant(time.Hour)+i*Instant(time.Millisecond), 10)
		if i < 5 { // half of the viewers never get this one: it does not count
			f.add(2*Instant(time.Hour), 2*Instant(time.Hour)+i, 10)
		}
	}
	f.settle(3*Instant(time.Hour), 10)
	if q := f.spread.quantiles(); q.N != 1 || q.Max != 9 {
		t.Errorf("%+v", q)
	}
}

func TestThePathOfAPacketAllocatesNothing(t *testing.T) {
	var h header
	var w Wide
	track := NewTrack(VideoWindow)
	b := []byte{0x90, 102, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0x31, 1, 2, 0, 9, 9}
	frames, out := make([]Frame, 0, 8), make([]byte, 0, 2048)
	seq, at := uint16(0), Instant(time.Hour)
	turn := func() {
		for range 40 {
			seq++
			b[3], b[2] = byte(seq), byte(seq>>8)
			b[17], b[18] = b[2], b[3]
			at += Instant(time.Millisecond)
			if !h.parse(b, ids{wide: 3, capture: 1}) || !h.hasWide {
				t.Fatal("not read")
			}
			w.Arrived(h.wide, at)
			frames = track.Receive(Arrived{Seq: h.seq, TS: uint32(seq / 8), Marker: seq%8 == 7, At: at}, frames[:0])
		}
		out, _ = w.Append(out[:0], 1, 2)
		out = appendNACK(out, 1, 2, []uint16{1, 2, 3})
	}
	turn()
	if n := testing.AllocsPerRun(100, turn); n != 0 {
		t.Errorf("%v allocations for 40 packets and a feedback", n)
	}
}

func BenchmarkPacket(b *testing.B) {
	var h header
	var w Wide
	track := NewTrack(VideoWindow)
	packet := []byte{0x90, 102, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xbe, 0xde, 0, 1, 0x31, 1, 2, 0, 9, 9}
	frames, out := make([]Frame, 0, 8), make([]byte, 0, 2048)
	seq := uint16(0)
	b.ReportAllocs()
	for b.Loop() {
		seq++
		packet[3], packet[2] = byte(seq), byte(seq>>8)
		packet[17], packet[18] = packet[2], packet[3]
		h.parse(packet, ids{wide: 3, capture: 1})
		w.Arrived(h.wide, Instant(seq)*1000)
		frames = track.Receive(Arrived{Seq: h.seq, TS: uint32(seq / 8), Marker: seq%8 == 7, At: Instant(seq)}, frames[:0])
		if seq%40 == 0 {
			out, _ = w.Append(out[:0], 1, 2)
		}
	}
}
