package feedback

import (
	"math"
	"time"

	"github.com/pion/rtcp"

	"github.com/sluice-live/sluice/media"
)

const (
	// defaultStart is told until the rate is known: libwebrtc's own start is 300 kbit/s, and a publisher should not
	// have to climb from there.
	defaultStart = 1_000_000
	// defaultMax is twice an HD contribution feed.
	defaultMax = 20_000_000
	// floor keeps a picture alive, whatever is lost.
	floor = 100_000

	// growth per second without loss: the 8 % of GCC's multiplicative increase (draft-ietf-rmcat-gcc-02 section 5.5).
	growth = 1.08
	// headroom over what comes, so that an encoder that obeys can double in two reports.
	headroom = 1.5
	// Loss below lowLoss lets the estimate grow, above highLoss cuts it, between them holds it (section 6).
	lowLoss, highLoss = 0.02, 0.10
	// calm is how long after a cut the estimate only grows, without headroom, or it would bounce off the same wall
	// every other second.
	calm = 10 * time.Second
	// least time over which a rate means something.
	least = 200 * time.Millisecond
)

// REMB estimates what a publisher may send, for publishers that take only REMB (draft-alvestrand-rmcat-remb-03). The zero
// value is ready. It is not safe for concurrent use.
//
// Its limits: it knows loss and rate, not delay. It fills the queue of a bottleneck before it learns of it, and takes
// random loss above 10 % for congestion. Transport-wide feedback, where the publisher judges delay, is to be preferred.
type REMB struct {
	// Max bounds the estimate; 20 Mbit/s if zero.
	Max media.Bitrate

	estimate float64
	bytes    int64
	since    time.Time // when bytes began
	cut      time.Time // the newest cut
}

// Receive takes the size of one packet.
//
// hot: once per received packet.
func (r *REMB) Receive(size int, now time.Time) {
	if r.since.IsZero() {
		r.since = now
	}
	r.bytes += int64(size)
}

// Update takes the loss ratio of the last interval before repair (0 to 1) and returns the new estimate. Call it about
// once a second; calls within 200 ms change nothing.
func (r *REMB) Update(loss float64, now time.Time) media.Bitrate {
	elapsed := now.Sub(r.since)
	if r.since.IsZero() || elapsed < least {
		return r.Estimate()
	}
	seconds := elapsed.Seconds()
	rate := float64(r.bytes) * 8 / seconds
	r.bytes, r.since = 0, now
	estimate := float64(r.Estimate())
	switch {
	case loss > highLoss:
		sent := rate / (1 - min(loss, 0.9))
		estimate = min(estimate, sent) * (1 - loss/2)
		r.cut = now
	case loss < lowLoss:
		estimate *= math.Pow(growth, min(seconds, 2)) // silence earns nothing
		if r.cut.IsZero() || now.Sub(r.cut) > calm {
			estimate = max(estimate, rate*headroom)
		}
	}
	r.estimate = min(max(estimate, floor), float64(r.limit()))
	return r.Estimate()
}

// Estimate returns the newest estimate.
func (r *REMB) Estimate() media.Bitrate {
	if r.estimate == 0 {
		return min(defaultStart, r.limit())
	}
	return media.Bitrate(r.estimate)
}

// Report returns the message about the publisher's SSRCs, which share the estimate.
func (r *REMB) Report(sender uint32, ssrcs []uint32) *rtcp.ReceiverEstimatedMaximumBitrate {
	return &rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: sender, Bitrate: float32(r.Estimate()), SSRCs: ssrcs}
}

func (r *REMB) limit() media.Bitrate {
	if r.Max > 0 {
		return r.Max
	}
	return defaultMax
}
