package recorder

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
	"github.com/sluice-live/sluice/recorder/segment"
)

const (
	// queue is how many bursts wait for a tape; behind them the giver holds 10 s.
	queue = 256
	// lingering is how many target durations an ended presentation is kept for those
	// who still watch it (RFC 8216bis section 6.2.2).
	lingering = 6
	// maxStrands bounds the encodings of one publisher session: a layer may change its
	// codec once.
	maxStrands = 2 * (media.MaxLayers + media.MaxAudio)
	// A publisher begins with a key frame: opening is how long it is waited for before
	// one is asked for, again how long until it is asked for anew.
	opening = 300 * time.Millisecond
	again   = 2 * time.Second
	// absence is how long after a publisher's first packet what it does not send counts
	// as left: browsers send a layer as soon as they know that there is room for it.
	absence = 5 * time.Second
	// idle is how often a tape looks at the clock when nothing is due.
	idle = time.Second
	// behind is how long a burst may have waited before the tape hurries instead of
	// looking at the clock, recovery how long after packets were dropped the next
	// key frame is missed because of it.
	behind   = 500 * time.Millisecond
	recovery = 5 * time.Second
)

// delivery is what a sink was given.
type delivery struct {
	burst  []*media.Packet
	lost   int
	epoch  media.Epoch
	tracks []media.TrackInfo
	closed error
	made   *made
	said   *said
}

// tape packages one stream from its first packet until its publisher has been gone
// for the grace.
type tape struct {
	r      *Recorder
	id     media.StreamID
	policy media.Policy
	log    *slog.Logger
	in     chan delivery
	done   chan struct{} // closed when nobody reads in any more

	// What readers see.
	current     atomic.Pointer[media.Presentation]
	trouble     atomic.Pointer[string] // why pictures cannot be packaged
	store       atomic.Pointer[writer]
	bells       bells
	incarnation string // written before current is

	mu     sync.Mutex
	over   bool      // it does not take another publisher
	called time.Time // when a publisher was last told of

	// The rest belongs to run.
	feed     Feed
	tracks   map[media.Epoch][]media.TrackInfo
	epoch    media.Epoch
	turnedAt time.Time // when the first packet of the epoch came; zero once who left is known
	strands  map[encoding]*strand
	gathered []gathered
	first    time.Time // when the first of them came
	opened   time.Time // when they were laid
	// Returning tells that another publisher's frames are gathered.
	returning bool
	last      time.Time // when the newest packet came
	start     time.Time
	cutter    *segment.Cutter
	byName    map[string]*rendition
	lanes     []*rendition
	version   uint64
	told      bool // the catalogue knows
	stalled   bool
	hanging   time.Time  // zero, or since when the disk does not answer
	looking   chan found // nil until sought
	sought    time.Time
	clerk     *clerk
	dropped   uint64 // segments before it are out of the window
	// Numbers of segments that begin with a discontinuity, and how many came before.
	turns          []uint64
	turnsForgotten uint64
	// Where a resumed presentation goes on: media time, and the number of a segment.
	from time.Duration
	next uint64

	encoders encoders
	texts    []*texts
	listed   bool // texts has those that were told of before
}

func newTape(r *Recorder, id media.StreamID, p media.Policy) *tape {
	t := &tape{r: r, id: id, policy: p, log: r.log.With("stream", id), in: make(chan delivery, queue), done: make(chan struct{}),
		tracks: map[media.Epoch][]media.TrackInfo{}, strands: map[encoding]*strand{}, byName: map[string]*rendition{}}
	t.clerk = newClerk(t)
	t.encoders.wish = make(chan struct{}, 1)
	return t
}

// welcome reports whether the tape goes on with another publisher.
func (t *tape) welcome() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.called = time.Now()
	return !t.over
}

// abandoned reports whether the publisher has been gone for the grace; then the tape
// takes no other any more. One who was told of has that long to send something.
func (t *tape) abandoned(now time.Time) bool {
	if now.Sub(t.last) <= max(t.r.cfg.Grace, 2*time.Second) {
		return false
	}
	if here := t.r.parts.Publishing; here != nil && here(t.id) {
		t.last = now // a paused publisher is not gone
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = now.Sub(t.called) > max(t.r.cfg.Grace, 2*time.Second)
	return t.over
}

// retire ends that.
func (t *tape) retire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
}

// intake is the Sink of a tape.
type intake struct{ t *tape }

// Tracks hands on what an epoch's packets are.
func (i intake) Tracks(e media.Epoch, tracks []media.TrackInfo) {
	i.hand(delivery{epoch: e, tracks: tracks})
}

// Write hands a burst on; while the tape is behind, the giver waits.
func (i intake) Write(burst []*media.Packet, lost int) { i.hand(delivery{burst: burst, lost: lost}) }

// Close tells that nothing more comes.
func (i intake) Close(why error) {
	if why == nil {
		why = media.ErrGone
	}
	i.hand(delivery{closed: why})
}

func (i intake) hand(d delivery) {
	select {
	case i.t.in <- d:
	case <-i.t.done:
	}
}

// run is the tape's goroutine.
func (t *tape) run(ctx context.Context) {
	go t.clerk.run(ctx) // clerk.stop waits for it
	defer t.clerk.stop()
	defer t.r.forget(t)
	defer t.bells.stop()
	feed, err := t.r.parts.Streams.Attach(t.id, intake{t})
	if err != nil {
		t.retire()
		close(t.done)
		t.log.Error("stream not packaged", "error", err)
		return
	}
	t.feed, t.last = feed, time.Now()
	t.encoders.base, t.encoders.stop = context.WithCancel(ctx)
	closing := t.record(ctx)
	t.encoders.stop()
	t.retire()
	close(t.done)
	t.encoders.live.Wait()
	feed.Close()
	t.finish(closing)
	if closing == Ended {
		t.linger(ctx)
		if !t.policy.Record {
			t.shut(Forgotten)
		}
	}
}

// record takes packets until the stream is over.
func (t *tape) record(ctx context.Context) Closing {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return Suspended
		case d := <-t.in:
			if d.closed != nil {
				if errors.Is(d.closed, media.ErrShuttingDown) {
					return Suspended
				}
				return Ended
			}
			t.take(d)
			if late(d.burst) { // what waits behind it is not missing
				timer.Reset(behind)
				continue
			}
		case <-t.encoders.wish:
		case <-timer.C:
			if len(t.in) > 0 { // the clock went on while we did not
				timer.Reset(behind)
				continue
			}
		}
		now := time.Now()
		t.tick(now)
		if t.abandoned(now) {
			return Ended
		}
		timer.Reset(max(t.due(now).Sub(now), time.Millisecond))
	}
}

// linger keeps an ended presentation for those who still watch it.
func (t *tape) linger(ctx context.Context) {
	if t.current.Load() == nil {
		return
	}
	timer := time.NewTimer(lingering * t.r.cfg.Target)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// take reads a delivery.
func (t *tape) take(d delivery) {
	if d.tracks != nil {
		t.tracks[d.epoch] = d.tracks
		t.judge(d.tracks)
	}
	if d.lost > 0 {
		t.r.metrics.overflows.Add(float64(d.lost))
		t.log.Error("recorder fell behind", "bursts_lost", d.lost)
		t.overflowed(d.burst)
	}
	for _, p := range d.burst {
		t.packet(p, time.Now())
	}
	if d.made != nil {
		t.encoded(d.made, time.Now())
	}
	if d.said != nil {
		t.caption(d.said)
	}
}

// overflowed marks what is missing before a burst as dropped here.
func (t *tape) overflowed(burst []*media.Packet) {
	if len(burst) == 0 {
		return
	}
	until := burst[len(burst)-1].Arrival.Add(recovery)
	for _, s := range t.strands {
		s.overflowed = until
	}
}

// late reports whether a burst has waited for us.
func late(burst []*media.Packet) bool {
	return len(burst) > 0 && time.Since(burst[len(burst)-1].Arrival) > behind
}

// judge says so when pictures cannot be packaged.
func (t *tape) judge(tracks []media.TrackInfo) {
	why := ""
	for _, k := range tracks {
		if k.Codec == media.VP8 && !t.laddered() {
			why = "HLS and DASH carry no VP8; publish H264, AV1, VP9 or H265"
		}
	}
	switch had := t.trouble.Load(); {
	case why == "" && had != nil:
		t.trouble.Store(nil)
	case why != "" && had == nil:
		t.trouble.Store(&why)
		t.log.Warn("pictures not packaged", "error", why, "recorded", t.policy.Record)
	}
}

// keepsVP8 reports whether VP8 is of any use: for a recording, or to make H264 of.
func (t *tape) keepsVP8() bool { return t.policy.Record || t.laddered() }

// laddered reports whether a ladder is made.
func (t *tape) laddered() bool { return len(t.r.cfg.Ladder) > 0 && t.r.encodes() }

// packet takes one packet.
func (t *tape) packet(p *media.Packet, now time.Time) {
	if p.Epoch < t.epoch {
		return
	}
	t.last = now
	s := t.strand(p)
	if s == nil {
		return
	}
	s.packets.Push(p, now)
	t.drain(s, now)
}

// strand finds the packet's, or begins one.
func (t *tape) strand(p *media.Packet) *strand {
	e := encoding{p.Epoch, p.Track, p.Layer, p.Codec}
	if s := t.strands[e]; s != nil {
		return s
	}
	if p.Epoch > t.epoch {
		t.turn(p.Epoch)
	}
	if len(t.strands) >= maxStrands || len(p.Payload) == 0 || p.Codec == media.VP8 && !t.keepsVP8() || p.Codec == media.RED {
		return nil
	}
	params := ""
	for _, k := range t.tracks[p.Epoch] {
		if k.ID == p.Track {
			params = k.Params
		}
	}
	s := newStrand(e, params, t.r.cfg.Reorder)
	t.strands[e] = s
	return s
}

// turn leaves the publisher sessions before e: what still waits of them is not
// waited for any more.
func (t *tape) turn(e media.Epoch) {
	for k, s := range t.strands {
		t.drain(s, time.Now().Add(t.r.cfg.Reorder))
		delete(t.strands, k)
	}
	if t.cutter != nil {
		if len(t.gathered) > 0 {
			t.rejoin(time.Now())
		}
		t.returning = true
	}
	for old := range t.tracks {
		if old < e {
			delete(t.tracks, old)
		}
	}
	t.epoch, t.turnedAt = e, time.Now()
	if t.cutter != nil {
		t.keep(t.journal().Epoch(e, time.Now()))
	}
}

// drain takes what is in order out of a strand.
func (t *tape) drain(s *strand, now time.Time) {
	for {
		p, lost, ok := s.packets.Pop(now)
		if !ok {
			break
		}
		for f := s.frames.Push(p, lost > 0); f != nil; f = s.frames.Next() {
			t.frame(s, f, now)
		}
	}
	switch waiting := s.frames.Waiting() && s.codec.Kind() == media.Video; {
	case !waiting:
		s.waiting = time.Time{}
	case s.waiting.IsZero():
		s.waiting = now.Add(opening)
		if s.to != nil && t.cutter != nil {
			t.cutter.Lost(s.to.lane, now)
			t.events(now)
		}
	}
}

// remind asks for the first key frame of an encoding that does not come by itself.
func (t *tape) remind(s *strand, now time.Time) {
	if s.to == nil && !s.waiting.IsZero() && now.After(s.waiting) {
		s.waiting = now.Add(again)
		t.ask(s.track, s.layer)
	}
}

func (t *tape) ask(track media.TrackID, layer media.Layer) {
	t.r.metrics.keys.Inc()
	t.feed.RequestKeyFrame(track, layer)
}

// frame takes one frame: until the presentation has begun, or goes on, it is gathered.
func (t *tape) frame(s *strand, f *media.Frame, now time.Time) {
	if t.cutter == nil || t.returning {
		t.gather(s, f, now)
		return
	}
	t.lay(s, f, now)
}

// lay puts a frame into the presentation.
func (t *tape) lay(s *strand, f *media.Frame, now time.Time) {
	if s.clock == nil {
		s.clock = t.clock(s)
	}
	if s.to == nil && !t.assign(s, f) {
		return
	}
	if f.Format.Codec == media.VP8 {
		f = t.keepFormat(s.to, f)
	}
	placed, ok := s.place(f)
	if !ok {
		return
	}
	if placed.Step {
		t.r.metrics.steps.Inc()
		t.log.Warn("media time stepped", "rendition", s.to.is.ID)
	}
	if seen := codec.ClosedCaptions(f.Format.Codec, f.Data); seen&^s.to.is.Closed != 0 {
		s.to.is.Closed |= seen      // for as long as the recording lasts: they pause more often than they end
		if len(s.to.is.Inits) > 0 { // else it is described with its first part
			t.describe(s.to)
		}
		t.log.Info("captions seen in pictures", "rendition", s.to.is.ID, "all", s.to.is.Closed.Names())
	}
	t.cutter.Push(s.to.lane, placed, now)
	t.events(now)
}

// keepFormat gives all VP8 of a rendition the format of its first: what decodes it
// learns of another size by the key frame.
func (t *tape) keepFormat(r *rendition, f *media.Frame) *media.Frame {
	if r.format == nil || r.format.Codec != media.VP8 {
		return f
	}
	if f.Key && r.grow(f.Format) {
		t.describe(r)
	}
	one := *f
	one.Format = r.format
	return &one
}

// tick lets time pass.
func (t *tape) tick(now time.Time) {
	for _, s := range t.strands {
		t.drain(s, now)
		t.remind(s, now)
	}
	if t.ripe(now) {
		switch {
		case t.cutter != nil:
			t.rejoin(now)
		case t.looked(now):
			t.begin(now)
		}
	}
	if t.cutter == nil {
		return
	}
	if len(t.gathered) == 0 { // else what seems to be missing is here
		t.cutter.Tick(now)
	}
	t.events(now)
	t.leave(now)
	t.answered()
	t.attend(now)
}

// due is when tick has something to do.
func (t *tape) due(now time.Time) time.Time {
	next := now.Add(idle)
	soonest := func(at time.Time) {
		if !at.IsZero() && at.Before(next) {
			next = at
		}
	}
	for _, s := range t.strands {
		soonest(s.packets.Next())
		if s.to == nil {
			soonest(s.waiting)
		}
	}
	switch {
	case len(t.gathered) > 0:
		soonest(now.Add(gatherStep))
	case t.cutter != nil:
		soonest(t.cutter.Next())
	}
	return next
}
