package sfu

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/transport"
)

// hears gives a viewer what it would say.
func (v *viewer) hears(at time.Time, packets ...rtcp.Packet) {
	raw, err := rtcp.Marshal(packets)
	if err != nil {
		panic(err)
	}
	v.obey(raw, at)
}

// Whatever a viewer reports, the shard goes on, and the viewer gets media still.
func FuzzViewerRTCP(f *testing.F) {
	for _, packets := range [][]rtcp.Packet{
		{&rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{{SSRC: 2, FractionLost: 255, LastSenderReport: 1, Delay: 2}}}},
		{&rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: 2, Nacks: []rtcp.NackPair{{PacketID: 65535, LostPackets: 0xffff}}}},
		{&rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: 2}, &rtcp.FullIntraRequest{SenderSSRC: 1, FIR: []rtcp.FIREntry{{SSRC: 2}}}},
		{&rtcp.ExtendedReport{SenderSSRC: 1, Reports: []rtcp.ReportBlock{&rtcp.ReceiverReferenceTimeReportBlock{NTPTimestamp: 1 << 40}}}},
		{&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: 1e9, SSRCs: []uint32{2}}},
		{&rtcp.TransportLayerCC{Header: rtcp.Header{Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback, Length: 5}, SenderSSRC: 1, MediaSSRC: 2,
			PacketStatusCount: 1, PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{Type: rtcp.TypeTCCRunLengthChunk, PacketStatusSymbol: 1, RunLength: 1}},
			RecvDeltas: []*rtcp.RecvDelta{{Type: rtcp.TypeTCCPacketReceivedSmallDelta, Delta: 250}}}},
	} {
		raw, err := rtcp.Marshal(packets)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
		b.stream(5, 30)
		b.v.conn = &transport.Conn{}
		b.v.tracks[media.VideoTrack].ssrc = 2
		b.v.obey(raw, b.now)
		before := b.v.stats.packets.Load()
		b.stream(35, 30)
		for range 40 {
			b.now = b.now.Add(50 * time.Millisecond)
			b.v.hurry(b.now)
		}
		if b.v.stats.packets.Load() == before {
			t.Error("media stopped")
		}
	})
}

// A flood of reports fills the queue and nothing else: it is bounded in datagrams, however they came.
func TestAFloodOfReportsIsBounded(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	receive, sh := b.v.params().Receive, b.v.shard
	for range 3 * rtcpQueue {
		receive(make([]transport.Datagram, 200)) // never blocks
	}
	held := 0
	for range len(sh.rtcp) {
		c := <-sh.rtcp
		held += len(c.batch)
		sh.reports.Add(-int64(len(c.batch)))
	}
	if held > rtcpQueue || held < rtcpQueue-quotaPerTick {
		t.Errorf("%d datagrams were held", held)
	}
	if !sh.report(control{b.v, make([]transport.Datagram, 1)}) {
		t.Error("what comes after the flood is refused")
	}
}

// arrivalReport is one packet of transport-wide feedback: count packets from base on,
// which came a quarter of a millisecond after each other, or did not come.
func arrivalReport(base uint16, count int, came bool) []byte {
	b := []byte{0x80 | rtcp.FormatTCC, uint8(rtcp.TypeTransportSpecificFeedback), 0, 0, 0, 0, 0, 1, 0, 0, 0, 2}
	b = binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, base), uint16(count))
	b = append(b, 0, 0, 1, 0)
	symbol := uint16(0)
	if came {
		symbol = 1 << 13
	}
	for left := count; left > 0; left -= 8191 {
		b = binary.BigEndian.AppendUint16(b, symbol|uint16(min(left, 8191)))
	}
	for range count {
		if came {
			b = append(b, 1)
		}
	}
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)/4-1))
	return b
}

// An arrival report of 40 bytes tells of 65,535 packets: a viewer who sent them as fast
// as it may kept a processor busy, and all other viewers of the shard without media.
func TestAFloodOfArrivalsCostsABoundedNumberOfLookUps(t *testing.T) {
	b := newBench(t, "ffmpeg-9.0.2.offer.sdp", true)
	b.v.house(b.now)
	b.stream(5, 30)
	first := parse(t, b.out.sent[0])
	number := binary.BigEndian.Uint16(first.GetExtension(b.v.tracks[media.VideoTrack].ext.TransportCC))
	honest := arrivalReport(number, len(b.out.sent), true)
	for range 40 {
		b.v.obey(arrivalReport(number+1000, 65535, false), b.now)
	}
	b.now = b.now.Add(20 * time.Millisecond)
	b.v.obey(honest, b.now)
	if rtt := b.v.link.estimator.State().RTT; rtt != 0 {
		t.Errorf("behind the flood a report was read: RTT %v", rtt)
	}
	b.v.house(b.now)
	b.v.obey(honest, b.now)
	if rtt := b.v.link.estimator.State().RTT; rtt == 0 {
		t.Error("after the flood reports are not read")
	}
}
