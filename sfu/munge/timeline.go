package munge

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// maxOffset is how far a switch may lead the viewer's time away from wall time: mediasoup's MaxExtraOffset,
	// little enough that nobody sees it.
	maxOffset = 75 * time.Millisecond
	// maxMismatch between media time and wall time inside one source; beyond it the publisher has restarted its
	// clock (another SSRC under the same encoding, a resumed capture).
	maxMismatch = 10 * time.Second
	// maxStep keeps one step below half of the timestamp space at 90 kHz (6.6 h), so that a receiver still sees time
	// go forward (RFC 1982).
	maxStep = 6 * time.Hour
	// maxOwed bounds what later switches are asked to make up for.
	maxOwed = time.Second
)

// timeline maps the current source's media time to the viewer's.
//
// A switch goes on by the capture times of the frames where both are known, else by their arrival, never by the time of
// sending: a viewer's fast start replays old packets in one burst. The step is held within maxOffset of the step in
// arrival time and above zero; what that took away is owed, and later switches give it back.
type timeline struct {
	rate    media.Ticks
	begun   bool
	shift   media.Ticks // output time less source time
	in      media.Ticks // source time of the newest frame
	last    media.Ticks // output time of the newest frame
	at      time.Time   // arrival of the newest frame
	capture time.Time   // capture of the newest frame; zero if unknown
	owed    time.Duration
}

func newTimeline(rate, first uint32) timeline {
	// One turn above zero, so that frames older than the first stay positive.
	return timeline{rate: media.Ticks(rate), last: 1<<32 | media.Ticks(first)}
}

// enter joins a new source that begins with p; same says that it is the current one, further on.
func (t *timeline) enter(p *media.Packet, at time.Time, same bool) {
	switch {
	case !t.begun:
		t.begun, t.shift = true, t.last-p.TS
		t.note(p, at)
	case same && p.TS > t.in && t.steady(p.TS, at):
	default:
		t.join(p, at)
	}
}

// pass returns the output time of a packet in order, and whether the source's clock had jumped before it.
func (t *timeline) pass(p *media.Packet, at time.Time) (ts media.Ticks, jumped bool) {
	if p.TS != t.in && !t.steady(p.TS, at) {
		t.join(p, at)
		jumped = true
	}
	if p.TS+t.shift > t.last {
		t.note(p, at)
	}
	return p.TS + t.shift, jumped
}

// late returns the output time of any frame of the current source.
func (t *timeline) late(ts media.Ticks) media.Ticks { return ts + t.shift }

// steady reports whether source time went on about as fast as wall time since the newest frame.
func (t *timeline) steady(ts media.Ticks, at time.Time) bool {
	off := ts - t.in - t.ticks(limit(at.Sub(t.at), maxStep))
	bound := t.ticks(maxMismatch)
	return -bound <= off && off <= bound
}

// join sets the shift so that p's frame follows the newest one.
func (t *timeline) join(p *media.Packet, at time.Time) {
	wall := limit(at.Sub(t.at), maxStep)
	ideal := wall
	if !p.Capture.IsZero() && !t.capture.IsZero() {
		ideal = limit(p.Capture.Sub(t.capture), maxStep)
	}
	ideal -= t.owed
	step := t.ticks(min(max(ideal, wall-maxOffset), wall+maxOffset))
	step = max(step, 1)
	t.owed = limit(t.duration(step)-ideal, maxOwed)
	t.shift = t.last + step - p.TS
	t.note(p, at)
}

func (t *timeline) note(p *media.Packet, at time.Time) {
	t.in, t.last, t.at, t.capture = p.TS, p.TS+t.shift, at, p.Capture
}

func (t *timeline) ticks(d time.Duration) media.Ticks {
	return media.Ticks(d) * t.rate / media.Ticks(time.Second)
}

func (t *timeline) duration(ticks media.Ticks) time.Duration {
	return time.Duration(ticks * media.Ticks(time.Second) / t.rate)
}

func limit(d, bound time.Duration) time.Duration { return min(max(d, -bound), bound) }
