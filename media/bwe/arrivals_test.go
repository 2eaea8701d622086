package bwe

import (
	"testing"

	"github.com/pion/rtcp"
)

// FuzzArrivals holds reports against what pion/rtcp reads: what it takes, we take,
// and each packet has the same fate.
func FuzzArrivals(f *testing.F) {
	cc := rtcp.TransportLayerCC{Header: rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback, Length: 8, Padding: true},
		BaseSequenceNumber: 65530, PacketStatusCount: 22, ReferenceTime: 1<<24 - 1, FbPktCount: 255,
		PacketChunks: []rtcp.PacketStatusChunk{
			&rtcp.RunLengthChunk{Type: rtcp.TypeTCCRunLengthChunk, PacketStatusSymbol: 1, RunLength: 2},
			&rtcp.StatusVectorChunk{Type: rtcp.TypeTCCStatusVectorChunk, SymbolSize: rtcp.TypeTCCSymbolSizeTwoBit, SymbolList: []uint16{0, 1, 2, 3, 0, 1, 2}},
			&rtcp.StatusVectorChunk{Type: rtcp.TypeTCCStatusVectorChunk, SymbolSize: rtcp.TypeTCCSymbolSizeOneBit, SymbolList: []uint16{0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}},
		}}
	for _, kind := range []uint16{1, 1, 1, 2, 1, 2, 1, 1} {
		cc.RecvDeltas = append(cc.RecvDeltas, &rtcp.RecvDelta{Type: kind, Delta: 250 * int64(kind)})
	}
	raw, err := cc.Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add(append(make([]byte, 20), 1, 2, 3))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var cc rtcp.TransportLayerCC
		wrong := cc.Unmarshal(raw)
		if wrong == nil { // what follows the packet is not its own
			raw = raw[:4*(int(cc.Header.Length)+1)]
		}
		a, err := ReadArrivals(raw)
		if err != nil {
			if wrong == nil {
				t.Fatalf("%v; theirs is %v", err, cc)
			}
			return
		}
		got, deltas := fates(t, a)
		if wrong != nil {
			return
		}
		if a.Base != cc.BaseSequenceNumber || a.Count != cc.PacketStatusCount || a.Reference != cc.ReferenceTime || a.Number != cc.FbPktCount {
			t.Fatalf("%+v is %v", a, cc)
		}
		var want []uint16
		for _, c := range cc.PacketChunks {
			switch c := c.(type) {
			case *rtcp.RunLengthChunk:
				for range min(int(c.RunLength), int(cc.PacketStatusCount)-len(want)) {
					want = append(want, c.PacketStatusSymbol)
				}
			case *rtcp.StatusVectorChunk:
				want = append(want, c.SymbolList[:min(len(c.SymbolList), int(cc.PacketStatusCount)-len(want))]...)
			}
		}
		if len(got) != len(want) || len(deltas) != len(cc.RecvDeltas) {
			t.Fatalf("%d fates, want %d; %d deltas, want %d", len(got), len(want), len(deltas), len(cc.RecvDeltas))
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("packet %d: %d, want %d", i, got[i], want[i])
			}
		}
		for i, d := range cc.RecvDeltas {
			if deltas[i] != d.Delta {
				t.Fatalf("delta %d: %d, want %d", i, deltas[i], d.Delta)
			}
		}
	})
}

// fates are the symbols of a report's packets, and the times between arrivals, as
// the estimator's own walk finds them.
func fates(t *testing.T, a Arrivals) (symbols []uint16, deltas []int64) {
	t.Helper()
	rest, left := a.deltas, int(a.Count)
	for at := 0; left > 0; at += 2 {
		c := chunk(uint16(a.chunks[at])<<8 | uint16(a.chunks[at+1]))
		n := c.covers(left)
		left -= n
		for i := range n {
			s := c.symbol(i)
			symbols = append(symbols, s)
			switch s {
			case smallDelta:
				deltas, rest = append(deltas, quarter*int64(rest[0])), rest[1:]
			case largeDelta:
				deltas, rest = append(deltas, quarter*int64(int16(uint16(rest[0])<<8|uint16(rest[1])))), rest[2:]
			}
		}
	}
	return symbols, deltas
}
