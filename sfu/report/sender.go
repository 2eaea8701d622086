package report

import (
	"time"

	"github.com/pion/rtcp"
)

// Sender keeps the books of one outgoing stream. The zero value is ready. It is not safe for concurrent use.
type Sender struct {
	packets, octets uint64
	last            time.Time
}

// Packet counts one sent packet; payload is its bytes without header and padding (RFC 3550 section 6.4.1).
//
// hot: once per packet and viewer.
func (s *Sender) Packet(ts uint32, payload int, now time.Time) {
	s.packets++
	s.octets += uint64(payload)
	s.last = now
}

// Packets returns how many packets were sent.
func (s *Sender) Packets() uint64 { return s.packets }

// Octets returns how many payload bytes were sent.
func (s *Sender) Octets() uint64 { return s.octets }

// Last returns when the newest packet was sent; zero means that none was.
func (s *Sender) Last() time.Time { return s.last }

// Report returns a sender report that says: RTP time ts is at this time of the node's UTC. Let at be the time of
// sending, and take ts there by Extrapolate: the other side's report block tells the round trip from it.
func (s *Sender) Report(ssrc, ts uint32, at time.Time) rtcp.SenderReport {
	return rtcp.SenderReport{
		SSRC: ssrc, NTPTime: NTP(at), RTPTime: ts,
		PacketCount: uint32(s.packets), OctetCount: uint32(s.octets),
	}
}

// Extrapolate returns the RTP time at now of a stream whose RTP time ts is at the time at.
func Extrapolate(ts uint32, at, now time.Time, clockRate uint32) uint32 {
	d := now.Sub(at)
	whole := int64(d / time.Second)
	rest := int64(d % time.Second)
	return ts + uint32(whole*int64(clockRate)+rest*int64(clockRate)/int64(time.Second))
}

// maxRTT is more than any path has: what a report block says beyond it is garbage, or an answer to a former stream.
const maxRTT = 30 * time.Second

// RTT returns the round trip that a report block tells of our sender reports (RFC 3550 section 6.4.1); false if it tells
// none.
func RTT(block rtcp.ReceptionReport, now time.Time) (time.Duration, bool) {
	if block.LastSenderReport == 0 {
		return 0, false
	}
	d := int64(int32(uint32(NTP(now)>>16) - block.LastSenderReport - block.Delay))
	rtt := time.Duration(d * int64(time.Second) >> 16)
	if rtt < -time.Millisecond || rtt > maxRTT {
		return 0, false
	}
	return max(rtt, 0), true // the units are 15 µs: on a loopback it may come out just below zero
}
