package link

import (
	"fmt"
	"slices"
	"time"

	"github.com/pion/rtcp"

	"github.com/sluice-live/sluice/media/bwe"
)

// Receiver reports the arrivals of transport-wide sequence numbers, as Chromium does: each packet since the last report,
// and the missing ones between them; those that come later in a report of their own. Its clock is not the sender's.
type Receiver struct {
	start time.Time
	skew  float64
	got   []arrival
	next  uint16 // first number that no report covered
	begun bool
	count uint8
}

type arrival struct {
	seq uint16
	at  int64 // in 250 µs
}

// NewReceiver makes a receiver whose clock runs by a share faster than the sender's, and shows an hour at start.
func NewReceiver(start time.Time, skew float64) *Receiver { return &Receiver{start: start, skew: skew} }

// Arrive takes a packet. One that came twice is reported once.
func (r *Receiver) Arrive(seq uint16, at time.Time) {
	if slices.ContainsFunc(r.got, func(a arrival) bool { return a.seq == seq }) {
		return
	}
	d := time.Duration(float64(at.Sub(r.start))*(1+r.skew)) + time.Hour
	r.got = append(r.got, arrival{seq, int64(d / (250 * time.Microsecond))})
	if !r.begun {
		r.begun, r.next = true, seq
	}
}

// Report returns what came since the last one; nothing when nothing did.
func (r *Receiver) Report() []*rtcp.TransportLayerCC {
	if len(r.got) == 0 {
		return nil
	}
	slices.SortStableFunc(r.got, func(a, b arrival) int { return int(int16(a.seq - b.seq)) })
	var out []*rtcp.TransportLayerCC
	late := 0
	for late < len(r.got) && int16(r.got[late].seq-r.next) < 0 {
		late++
	}
	for ; late > 0; late-- {
		out = append(out, r.build(r.got[0].seq, r.got[:1]))
		r.got = r.got[1:]
	}
	if len(r.got) > 0 {
		out = append(out, r.build(r.next, r.got))
		r.next = r.got[len(r.got)-1].seq + 1
	}
	r.got = r.got[:0]
	return out
}

func (r *Receiver) build(base uint16, got []arrival) *rtcp.TransportLayerCC {
	reference := got[0].at / 256
	cc := &rtcp.TransportLayerCC{BaseSequenceNumber: base, ReferenceTime: uint32(reference) & 0xffffff, FbPktCount: r.count,
		Header: rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback}}
	r.count++
	at, seq := reference*256, base
	var symbols []uint16
	for _, a := range got {
		for ; seq != a.seq; seq++ {
			symbols = append(symbols, rtcp.TypeTCCPacketNotReceived)
		}
		delta, kind := a.at-at, rtcp.TypeTCCPacketReceivedSmallDelta
		if delta < 0 || delta > 255 {
			kind = rtcp.TypeTCCPacketReceivedLargeDelta
		}
		symbols = append(symbols, kind)
		cc.RecvDeltas = append(cc.RecvDeltas, &rtcp.RecvDelta{Type: kind, Delta: delta * 250})
		at = a.at
		seq++
	}
	cc.PacketStatusCount = uint16(len(symbols))
	for len(symbols) > 0 {
		run := 1
		for run < len(symbols) && symbols[run] == symbols[0] {
			run++
		}
		if run >= 7 {
			cc.PacketChunks = append(cc.PacketChunks, &rtcp.RunLengthChunk{Type: rtcp.TypeTCCRunLengthChunk,
				PacketStatusSymbol: symbols[0], RunLength: uint16(run)})
			symbols = symbols[run:]
			continue
		}
		n := min(7, len(symbols))
		list := append([]uint16(nil), symbols[:n]...)
		for len(list) < 7 {
			list = append(list, rtcp.TypeTCCPacketNotReceived)
		}
		cc.PacketChunks = append(cc.PacketChunks, &rtcp.StatusVectorChunk{Type: rtcp.TypeTCCStatusVectorChunk,
			SymbolSize: rtcp.TypeTCCSymbolSizeTwoBit, SymbolList: list})
		symbols = symbols[n:]
	}
	size := 20 + 2*len(cc.PacketChunks)
	for _, d := range cc.RecvDeltas {
		size += 1
		if d.Type == rtcp.TypeTCCPacketReceivedLargeDelta {
			size++
		}
	}
	cc.Header.Padding = size%4 != 0
	cc.Header.Length = uint16((size+3)/4 - 1)
	return cc
}

// Wire is a report as it arrives: written, and read again.
func Wire(cc *rtcp.TransportLayerCC) (bwe.Arrivals, error) {
	raw, err := cc.Marshal()
	if err != nil {
		return bwe.Arrivals{}, fmt.Errorf("write the report: %w", err)
	}
	return bwe.ReadArrivals(raw)
}
