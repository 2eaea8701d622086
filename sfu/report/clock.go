package report

import "time"

// Clock maps one publisher's NTP clock to the node's UTC. The zero value is ready; one serves all of a publisher's
// streams, so that they keep their mapping to one another. It is not safe for concurrent use.
//
// The least of (arrival − NTP) over a minute stands for the difference between the two clocks; it is too great by the
// shortest way from the publisher to the node, which nobody can know. The mapping moves by at most 5 ms per second of
// the publisher's clock, but for jumps of more than 10 s, seen twice.
type Clock struct{ m mapping }

// SenderReport takes the NTP time of a sender report and when it arrived. An NTP time of zero tells nothing (RFC 3550
// section 6.4.1).
func (c *Clock) SenderReport(ntp uint64, arrival time.Time) {
	if ntp != 0 {
		c.m.add(FromNTP(ntp).UnixNano(), arrival.UnixNano())
	}
}

// Node returns a publisher's NTP time in the node's UTC; false until the first sender report.
func (c *Clock) Node(ntp uint64) (time.Time, bool) {
	if !c.m.known {
		return time.Time{}, false
	}
	return nanos(c.m.node(FromNTP(ntp).UnixNano())), true
}

func nanos(ns int64) time.Time { return time.Unix(0, ns).UTC() }
