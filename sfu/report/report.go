// Package report keeps the books of RTP streams: sender and receiver reports, loss, jitter, and the
// mapping of every publisher's clock to the node's UTC.
//
// It promises that the node's idea of a publisher's clock slews and never steps, and that audio and video keep the
// publisher's mapping. Each value belongs to one goroutine; none is safe for concurrent use.
package report

import (
	"time"

	"github.com/pion/rtcp"

	"github.com/sluice-live/sluice/media"
)

// Clock maps one publisher's NTP clock to the node's UTC.
type Clock struct {
	known  bool
	offset time.Duration
}

// SenderReport takes the NTP time of a sender report and when it arrived.
func (c *Clock) SenderReport(ntp uint64, arrival time.Time) {
	if d := arrival.Sub(FromNTP(ntp)); !c.known || d < c.offset {
		c.known, c.offset = true, d
	}
}

// Node returns a publisher's NTP time in the node's UTC; false until the first sender report.
func (c *Clock) Node(ntp uint64) (time.Time, bool) {
	return FromNTP(ntp).Add(c.offset), c.known
}

// Source keeps the books of one received RTP stream.
type Source struct {
	rate       uint32
	ntp        uint64
	ref        media.Ticks
	hasSR      bool
	first, max uint64
	received   uint64
	begun      bool
}

// NewSource returns the books of a stream with this clock rate in Hz.
func NewSource(clockRate uint32) *Source { return &Source{rate: clockRate} }

// Packet takes one received packet.
// hot: once per received packet.
func (s *Source) Packet(seq uint64, ts media.Ticks, arrival time.Time, size int) {
	if !s.begun {
		s.begun, s.first, s.max = true, seq, seq
	}
	s.max = max(s.max, seq)
	s.received++
}

// SenderReport takes a sender report, its RTP time unwrapped to ts.
func (s *Source) SenderReport(sr *rtcp.SenderReport, ts media.Ticks, arrival time.Time) {
	s.ntp, s.ref, s.hasSR = sr.NTPTime, ts, true
}

// Capture returns when the frame of media time ts was captured, in the node's UTC; false means that nothing is known.
func (s *Source) Capture(ts media.Ticks, clock *Clock) (time.Time, bool) {
	if !s.hasSR {
		return time.Time{}, false
	}
	at, ok := clock.Node(s.ntp)
	return at.Add(time.Duration(ts-s.ref) * time.Second / time.Duration(s.rate)), ok
}

// Reception returns the report block about this stream and begins a new interval (RFC 3550 section 6.4.1).
func (s *Source) Reception(ssrc uint32, now time.Time) rtcp.ReceptionReport {
	return rtcp.ReceptionReport{SSRC: ssrc, LastSequenceNumber: uint32(s.max)}
}

// LossRatio returns the share of packets lost in the last 10 s before repair, 0 to 1.
func (s *Source) LossRatio(now time.Time) float64 { return 0 }

// Jitter returns the interarrival jitter (RFC 3550 section 6.4.1).
func (s *Source) Jitter() time.Duration { return 0 }

// Sender keeps the books of one outgoing stream.
type Sender struct {
	packets, octets uint32
}

// Packet counts one sent packet.
// hot: once per packet and viewer.
func (s *Sender) Packet(ts uint32, payload int, now time.Time) {
	s.packets++
	s.octets += uint32(payload)
}

// Report returns a sender report that says: RTP time ts was at this time of the node's UTC.
func (s *Sender) Report(ssrc uint32, ts uint32, at time.Time) rtcp.SenderReport {
	return rtcp.SenderReport{SSRC: ssrc, NTPTime: NTP(at), RTPTime: ts, PacketCount: s.packets, OctetCount: s.octets}
}

// RTT returns the round-trip time that a report block tells of our sender reports; false if it tells none.
func RTT(block rtcp.ReceptionReport, now time.Time) (time.Duration, bool) {
	if block.LastSenderReport == 0 {
		return 0, false
	}
	d := int32(uint32(NTP(now)>>16) - block.LastSenderReport - block.Delay)
	if d < 0 {
		return 0, false
	}
	return time.Duration(d) * time.Second >> 16, true
}
