package report

import (
	"time"

	"github.com/pion/rtcp"

	"github.com/sluice-live/sluice/media"
)

const (
	// maxDropout is RFC 3550 appendix A.1's MAX_DROPOUT: more missing at once is a source that has restarted, not loss.
	maxDropout = 3000
	// maxTotalLost is what the 24-bit signed field holds.
	maxTotalLost = 1<<23 - 1
	// maxDelay is what the delay since the last sender report can say in 32 bits of 1/65536 s.
	maxDelay = 1<<16*time.Second - 1
)

// Source keeps the books of one received RTP stream. It is not safe for concurrent use.
type Source struct {
	rate int64 // Hz

	begun     bool
	base, max uint64 // first and highest sequence number; base moves over restarts
	received  uint64
	interval  struct{ expected, received uint64 } // at the last report
	recent    window

	jitter  float64 // ticks
	ts      media.Ticks
	arrival time.Time

	media  mapping // media time to node time by arrivals, until the first sender report
	hasSR  bool
	sr     told
	before told   // the report before it; its ntp is 0 where there is none
	lastSR uint32 // middle 32 bits
	srAt   time.Time
}

// told is what a sender report says: the publisher's clock, in nanoseconds, at a media time.
type told struct {
	ntp int64
	ts  media.Ticks
}

// NewSource returns the books of a stream with this clock rate in Hz.
func NewSource(clockRate uint32) *Source { return &Source{rate: int64(max(clockRate, 1))} }

// Packet takes one packet as it came on the stream's own SSRC; repaired ones do not belong here. Size is its bytes.
//
// hot: once per received packet.
func (s *Source) Packet(seq uint64, ts media.Ticks, arrival time.Time, size int) {
	fresh := uint64(0)
	switch {
	case !s.begun:
		s.begun, s.base, s.max = true, seq, seq
		s.ts, s.arrival = ts, arrival
		fresh = 1
	case seq > s.max+maxDropout:
		s.base += seq - s.max - 1
		s.max, fresh = seq, 1
	case seq > s.max:
		fresh = seq - s.max
		s.max = seq
	}
	s.received++
	s.recent.add(arrival, fresh, size)
	s.transit(ts, arrival)
	if s.media.add(s.span(ts), arrival.UnixNano()) {
		s.hasSR, s.sr = false, told{} // the stream's clock was set anew; the report speaks of the old one
	}
}

// transit is RFC 3550 appendix A.8.
func (s *Source) transit(ts media.Ticks, arrival time.Time) {
	d := float64(arrival.Sub(s.arrival))*float64(s.rate)/float64(time.Second) - float64(ts-s.ts)
	s.ts, s.arrival = ts, arrival
	if d < 0 {
		d = -d
	}
	if d < float64(s.rate)*10 { // beyond 10 s the clock was set anew
		s.jitter += (d - s.jitter) / 16
	}
}

// SenderReport takes a sender report of this stream, its RTP time unwrapped to ts.
func (s *Source) SenderReport(sr *rtcp.SenderReport, ts media.Ticks, arrival time.Time) {
	s.lastSR, s.srAt = uint32(sr.NTPTime>>16), arrival
	if sr.NTPTime != 0 {
		s.before = s.sr
		s.hasSR, s.sr = true, told{FromNTP(sr.NTPTime).UnixNano(), ts}
	}
}

// HasReport reports whether a sender report maps this stream's time.
func (s *Source) HasReport() bool { return s.hasSR }

// Capture returns when the frame of media time ts was captured, in the node's UTC: by the newest sender report, or until
// there is one by the least late arrivals. False means that nothing is known yet. Clock may be nil.
//
// A publisher whose clock is set anew reports by the new one before the node follows it, or after: a report that puts a
// frame hours from its arrival is of the other one. Then that before it counts, or else the arrivals do.
//
// hot: once per received packet.
func (s *Source) Capture(ts media.Ticks, clock *Clock) (time.Time, bool) {
	if s.hasSR && clock != nil && clock.m.known {
		if at := clock.m.node(s.sr.ntp + s.span(ts-s.sr.ts)); s.near(at, ts) {
			return nanos(at), true
		}
		if at := clock.m.node(s.before.ntp + s.span(ts-s.before.ts)); s.before.ntp != 0 && s.near(at, ts) {
			return nanos(at), true
		}
	}
	if !s.media.known {
		return time.Time{}, false
	}
	return nanos(s.media.node(s.span(ts))), true
}

// near reports whether a frame may have been captured at that time, as far as arrivals tell.
func (s *Source) near(at int64, ts media.Ticks) bool {
	if !s.media.known {
		return true
	}
	off := at - s.span(ts) - s.media.target
	return -maxJump <= off && off <= maxJump
}

// span turns ticks into nanoseconds without overflow.
func (s *Source) span(t media.Ticks) int64 {
	return int64(t)/s.rate*int64(time.Second) + int64(t)%s.rate*int64(time.Second)/s.rate
}

// Received returns how many packets came.
func (s *Source) Received() uint64 { return s.received }

// Lost returns how many packets did not come, before repair (RFC 3550 appendix A.3).
func (s *Source) Lost() uint64 { return clampSub(s.expected(), s.received) }

// Jitter returns the interarrival jitter (RFC 3550 section 6.4.1).
func (s *Source) Jitter() time.Duration {
	return time.Duration(s.jitter * float64(time.Second) / float64(s.rate))
}

// LossRatio returns the share of packets that did not come in the last 10 s, before repair, 0 to 1.
func (s *Source) LossRatio(now time.Time) float64 { return s.recent.loss(now) }

// Bitrate returns what came in the last second.
func (s *Source) Bitrate(now time.Time) media.Bitrate { return s.recent.bitrate(now) }

// Reception returns the report block about this stream and begins a new interval (RFC 3550 section 6.4.1).
func (s *Source) Reception(ssrc uint32, now time.Time) rtcp.ReceptionReport {
	expected := s.expected()
	missed := clampSub(expected-s.interval.expected, s.received-s.interval.received)
	block := rtcp.ReceptionReport{
		SSRC:      ssrc,
		TotalLost: uint32(min(s.Lost(), maxTotalLost)),
		Jitter:    uint32(s.jitter),
	}
	if s.begun {
		block.LastSequenceNumber = uint32(s.max - 1<<16) // unwrapping begins one turn up
	}
	if n := expected - s.interval.expected; n > 0 {
		block.FractionLost = uint8(missed << 8 / n) // the newest packet came: always below 256
	}
	if s.lastSR != 0 {
		block.LastSenderReport = s.lastSR
		block.Delay = uint32(min(max(now.Sub(s.srAt), 0), maxDelay) * (1 << 16) / time.Second)
	}
	s.interval.expected, s.interval.received = expected, s.received
	return block
}

func (s *Source) expected() uint64 {
	if !s.begun {
		return 0
	}
	return s.max - s.base + 1
}

// clampSub returns a − b, or zero where duplicates made b the greater.
func clampSub(a, b uint64) uint64 {
	if b > a {
		return 0
	}
	return a - b
}
