package compound

import (
	"testing"

	"github.com/pion/rtcp"
)

// FuzzCompound holds each packet against what pion/rtcp reads: what it takes, we
// take, and it means the same.
func FuzzCompound(f *testing.F) {
	for _, packets := range [][]rtcp.Packet{
		said(),
		{&rtcp.SenderReport{SSRC: 3, Reports: []rtcp.ReceptionReport{{SSRC: 4, FractionLost: 7}}}, &rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: 9}},
		{&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 1, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "a"}}}}}, &rtcp.Goodbye{Sources: []uint32{1}}},
	} {
		raw, err := rtcp.Marshal(packets)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		theirs, wrong := rtcp.Unmarshal(raw)
		for i := 0; len(raw) > 0; i++ {
			p, rest, err := Next(raw)
			if err != nil {
				if wrong == nil {
					t.Fatalf("packet %d: %v; theirs is %v", i, err, theirs[i])
				}
				return
			}
			raw = rest
			if wrong == nil {
				same(t, &p, theirs[i])
			} else {
				read(&p) // it stays inside the packet
			}
		}
	})
}

// said is one of each kind.
func said() []rtcp.Packet {
	return []rtcp.Packet{
		&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 2, FractionLost: 255, TotalLost: 0xabcdef, LastSequenceNumber: 5, Jitter: 6, LastSenderReport: 1, Delay: 2}, {SSRC: 7}}},
		&rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: 2, Nacks: []rtcp.NackPair{{PacketID: 65535, LostPackets: 0xfff0}, {PacketID: 3}}},
		&rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: 2},
		&rtcp.FullIntraRequest{SenderSSRC: 1, FIR: []rtcp.FIREntry{{SSRC: 2}, {SSRC: 8, SequenceNumber: 1}}},
		&rtcp.ExtendedReport{SenderSSRC: 1, Reports: []rtcp.ReportBlock{&rtcp.DLRRReportBlock{Reports: []rtcp.DLRRReport{{SSRC: 1}}}, &rtcp.ReceiverReferenceTimeReportBlock{NTPTimestamp: 1<<40 | 5}}},
		&rtcp.TransportLayerCC{Header: rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback, Length: 5}, SenderSSRC: 1, MediaSSRC: 2,
			PacketStatusCount: 1, PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{Type: rtcp.TypeTCCRunLengthChunk, PacketStatusSymbol: 1, RunLength: 1}},
			RecvDeltas: []*rtcp.RecvDelta{{Type: rtcp.TypeTCCPacketReceivedSmallDelta, Delta: 250}}},
	}
}

// read takes all that a packet says.
func read(p *Packet) (sum uint64) {
	for i := range p.Len() {
		switch p.Kind {
		case Reception:
			r := p.Block(i)
			sum += uint64(r.SSRC)
		case NACK:
			sum += uint64(p.Pair(i).PacketID)
		case FullIntra:
			sum += uint64(p.Entry(i))
		case Other, Arrivals, PictureLoss, Extended:
		}
	}
	switch p.Kind {
	case NACK, PictureLoss:
		sum += uint64(p.Media())
	case Extended:
		ntp, _ := p.Reference()
		sum += ntp + uint64(p.Sender())
	case Other, Reception, Arrivals, FullIntra:
	}
	return sum
}

func same(t *testing.T, p *Packet, theirs rtcp.Packet) {
	t.Helper()
	switch m := theirs.(type) {
	case *rtcp.ReceiverReport:
		blocks(t, p, m.Reports)
	case *rtcp.SenderReport:
		blocks(t, p, m.Reports)
	case *rtcp.TransportLayerNack:
		if p.Kind != NACK || p.Media() != m.MediaSSRC || p.Len() != len(m.Nacks) {
			t.Fatalf("%+v is %v", p, m)
		}
		for i, pair := range m.Nacks {
			if p.Pair(i) != pair {
				t.Fatalf("pair %d: %v, want %v", i, p.Pair(i), pair)
			}
		}
	case *rtcp.PictureLossIndication:
		if p.Kind != PictureLoss || p.Media() != m.MediaSSRC {
			t.Fatalf("%+v is %v", p, m)
		}
	case *rtcp.FullIntraRequest:
		if p.Kind != FullIntra || p.Len() != len(m.FIR) {
			t.Fatalf("%+v is %v", p, m)
		}
		for i, entry := range m.FIR {
			if p.Entry(i) != entry.SSRC {
				t.Fatalf("entry %d: %d, want %d", i, p.Entry(i), entry.SSRC)
			}
		}
	case *rtcp.TransportLayerCC:
		if p.Kind != Arrivals {
			t.Fatalf("%+v is %v", p, m)
		}
	case *rtcp.ExtendedReport:
		extended(t, p, m)
	default:
		if p.Kind != Other {
			t.Fatalf("%+v is %v", p, m)
		}
	}
}

func extended(t *testing.T, p *Packet, m *rtcp.ExtendedReport) {
	t.Helper()
	var want uint64
	for _, b := range m.Reports {
		// Theirs takes a block that says it is longer than the packet; ours does not.
		if r, ok := b.(*rtcp.ReceiverReferenceTimeReportBlock); ok && r.BlockLength == 2 {
			want = r.NTPTimestamp
		}
	}
	got, _ := p.Reference()
	if p.Kind != Extended || p.Sender() != m.SenderSSRC || got != want {
		t.Fatalf("%+v is %v: its clock %d, want %d", p, m, got, want)
	}
}

func blocks(t *testing.T, p *Packet, want []rtcp.ReceptionReport) {
	t.Helper()
	if p.Kind != Reception || p.Len() != len(want) {
		t.Fatalf("%+v has blocks %v", p, want)
	}
	for i := range want {
		if p.Block(i) != want[i] {
			t.Fatalf("block %d: %+v, want %+v", i, p.Block(i), want[i])
		}
	}
}

func TestReadingAllocatesNothing(t *testing.T) {
	raw, err := rtcp.Marshal(said())
	if err != nil {
		t.Fatal(err)
	}
	sum := uint64(0)
	if n := testing.AllocsPerRun(200, func() {
		for b := raw; len(b) > 0; {
			p, rest, err := Next(b)
			if err != nil {
				t.Fatal(err)
			}
			sum += read(&p)
			b = rest
		}
	}); n != 0 || sum == 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkNext is a compound packet with one of each kind.
func BenchmarkNext(b *testing.B) {
	raw, err := rtcp.Marshal(said())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		for rest := raw; len(rest) > 0; {
			var p Packet
			p, rest, _ = Next(rest)
			read(&p)
		}
	}
}
