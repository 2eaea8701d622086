package sfu

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/history"
	"github.com/sluice-live/sluice/sfu/negotiate"
)

// beginTime is how long a connected publisher may take to its first media and
// keep the stream: encoders need up to ten seconds.
const beginTime = 30 * time.Second

// ratesEvery is how many seconds lie between news of bitrates alone.
const ratesEvery = 5

// source is one continuous run of a publisher's packets: what its numbers mean
// and where its latest packets are. It is shared by all shards; the rings and
// the pointer are safe to read from anywhere.
type source struct {
	epoch  media.Epoch
	rings  [media.MaxTracks][media.MaxLayers]*history.Ring
	tracks atomic.Pointer[[]media.TrackInfo]
	// asks carries wishes for key frames to the publisher; full: the publisher is
	// being asked already.
	asks  chan ask
	tally tally
}

type ask struct {
	track media.TrackID
	layer media.Layer
}

func (s *source) info(t media.TrackID) *media.TrackInfo {
	infos := s.tracks.Load()
	if infos == nil {
		return nil
	}
	for i := range *infos {
		if (*infos)[i].ID == t {
			return &(*infos)[i]
		}
	}
	return nil
}

func (s *source) ring(t media.TrackID, l media.Layer) *history.Ring {
	if int(t) >= media.MaxTracks || l < 0 || int(l) >= media.MaxLayers {
		return nil
	}
	return s.rings[t][l]
}

func (s *source) ask(t media.TrackID, l media.Layer) {
	select {
	case s.asks <- ask{t, l}:
	default:
	}
}

// stream is what is published under one name: at most one publisher, and the
// sessions and sinks that want it.
type stream struct {
	sfu     *SFU
	id      media.StreamID
	policy  media.Policy
	changed notifier
	pending atomic.Int64 // sessions being set up, so that the stream is kept
	current atomic.Pointer[source]
	dirty   atomic.Bool    // the number of viewers changed; told once a second
	present []atomic.Int64 // viewers per shard
	missed  []atomic.Bool  // by shard: it was full when a burst came
	ticks   int            // of tick, which one goroutine calls

	mu        sync.Mutex  // guards what follows; never held per packet
	publisher *publisher  // whose packets are forwarded
	newest    media.Epoch // of all publishers that were
	waiting   map[*publisher]struct{}
	viewers   map[media.SessionID]*viewer
	sinks     []*sink
	left      time.Time // when the last publisher left; zero while there is one
	reason    string
	fan       atomic.Pointer[[]*sink] // copy of sinks for the publisher's goroutine
}

func newStream(s *SFU, id media.StreamID, policy media.Policy) *stream {
	return &stream{sfu: s, id: id, policy: policy, present: make([]atomic.Int64, len(s.shards)), missed: make([]atomic.Bool, len(s.shards)),
		viewers: map[media.SessionID]*viewer{}, waiting: map[*publisher]struct{}{}, reason: "nobody publishes yet"}
}

// live reports whether media flows.
func (st *stream) live() bool {
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.publisher != nil && st.publisher.flowing()
}

// taken reports whether there is a publisher that a second one must respect: one
// that sends, or one that has not begun yet. A silent one (killed, unplugged)
// does not block its own return. The caller holds st.mu.
func (st *stream) taken() bool {
	if p := st.publisher; p != nil {
		return p.flowing() || p.firstMedia.Load() == 0 && time.Since(p.offer.At) < beginTime
	}
	return len(st.waiting) > 0
}

func (st *stream) idle() bool {
	if st.pending.Load() > 0 {
		return false
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.publisher == nil && len(st.waiting)+len(st.viewers)+len(st.sinks) == 0
}

// preferred puts the codec of the running publisher first.
func (st *stream) preferred(codecs []media.Codec) []media.Codec {
	src := st.current.Load()
	if src == nil {
		return codecs
	}
	info := src.info(media.VideoTrack)
	if info == nil {
		return codecs
	}
	rest := slices.DeleteFunc(slices.Clone(codecs), func(c media.Codec) bool { return c == info.Codec })
	return append([]media.Codec{info.Codec}, rest...)
}

// decodable returns an error if the viewer offers nothing that what is
// published now could be decoded with.
func (st *stream) decodable(r *negotiate.Remote) error {
	src := st.current.Load()
	if src == nil {
		return nil
	}
	info, line := src.info(media.VideoTrack), r.Video()
	if info == nil || line == nil || line.Match(info.Codec, info.Params) != nil {
		return nil
	}
	return fmt.Errorf("%w: the stream is %s now, and the offer has no payload type for it", media.ErrUnsupported, info.Codec)
}

// reserve keeps a place for a publisher that has not connected yet, unless the
// policy gives the stream to somebody else.
func (st *stream) reserve(p *publisher) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.policy.Second == media.TakenReject && st.taken() {
		return media.ErrStreamTaken
	}
	st.waiting[p] = struct{}{}
	return nil
}

// release gives a reserved place back.
func (st *stream) release(p *publisher) {
	st.mu.Lock()
	defer st.mu.Unlock()
	delete(st.waiting, p)
}

// takeover makes p the publisher, if it is the newest. The one before is ended,
// unless the policy protects it.
func (st *stream) takeover(p *publisher) error {
	st.mu.Lock()
	delete(st.waiting, p)
	old := st.publisher
	switch {
	case p.epoch <= st.newest: // viewers have seen a newer epoch: they would not take this one
		st.mu.Unlock()
		return media.ErrTakenOver
	case old != nil && old != p && st.policy.Second == media.TakenReject && st.taken():
		st.mu.Unlock()
		return media.ErrStreamTaken
	}
	st.publisher, st.newest, st.left, st.reason = p, p.epoch, time.Time{}, ""
	st.current.Store(p.source)
	st.mu.Unlock()
	if old != nil && old != p {
		old.close(media.ErrTakenOver)
	}
	st.changed.notify()
	if told := st.sfu.config.Published; told != nil {
		told(st.id)
	}
	return nil
}

// abandoned notes that a publisher is gone; viewers are kept for the policy's Hold.
func (st *stream) abandoned(p *publisher, why error) {
	st.mu.Lock()
	delete(st.waiting, p)
	if st.publisher == p {
		st.publisher, st.left, st.reason = nil, time.Now(), why.Error()
	}
	st.mu.Unlock()
	st.changed.notify()
}

// watch adds a viewer.
func (st *stream) watch(v *viewer) {
	st.mu.Lock()
	st.viewers[v.offer.Session] = v
	st.mu.Unlock()
	st.dirty.Store(true)
}

func (st *stream) unwatch(v *viewer) {
	st.mu.Lock()
	delete(st.viewers, v.offer.Session)
	st.mu.Unlock()
	st.dirty.Store(true)
}

// spread hands a burst to every shard with viewers and to every sink. Whoever
// is full misses it: a shard's viewers catch up from the ring, a sink notes the
// gap.
func (st *stream) spread(src *source, burst []*media.Packet) {
	for i, sh := range st.sfu.shards {
		if st.present[i].Load() > 0 && !sh.offer(delivery{st, src, burst}) {
			st.missed[i].Store(true)
		}
	}
	if sinks := st.fan.Load(); sinks != nil {
		for _, k := range *sinks {
			k.offer(src, burst)
		}
	}
}

// tick closes viewers whose publisher did not come back in time.
func (st *stream) tick(now time.Time) {
	st.mu.Lock()
	var over []*viewer
	if !st.left.IsZero() && now.Sub(st.left) > st.policy.Hold {
		for _, v := range st.viewers {
			over = append(over, v)
		}
		st.left = time.Time{}
		st.current.Store(nil)
		st.reason = media.ErrPublisherLeft.Error()
	}
	p := st.publisher
	st.mu.Unlock()
	for _, v := range over {
		v.close(media.ErrPublisherLeft)
	}
	st.ticks++
	rates := p != nil && st.ticks%ratesEvery == 0
	if p != nil && p.flowChanged() || st.dirty.Swap(false) || rates {
		st.changed.notify()
	}
}

// notifier lets many wait for the next change without a queue.
type notifier struct {
	mu sync.Mutex
	ch chan struct{}
}

func (n *notifier) wait() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch == nil {
		n.ch = make(chan struct{})
	}
	return n.ch
}

func (n *notifier) notify() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ch != nil {
		close(n.ch)
		n.ch = nil
	}
}
