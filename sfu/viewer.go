package sfu

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/allocate"
	"github.com/sluice-live/sluice/sfu/egress"
	"github.com/sluice-live/sluice/sfu/icelite"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"github.com/sluice-live/sluice/sfu/transport"
)

// lackTime is how long a viewer without a fitting codec is kept: for its event
// stream to tell why, and for a publisher that changes its mind.
const lackTime = 3 * time.Second

// viewer is one WHEP session. Its fields below the line belong to its shard.
type viewer struct {
	st      *stream
	offer   media.Offer
	remote  *negotiate.Remote
	conn    conn
	log     context.Context // carries the trace id from POST to close
	shard   *shard
	cname   string
	since   time.Time
	once    sync.Once
	gone    atomic.Bool
	arrival arrival
	stats   viewerStats
	choice  atomic.Pointer[media.LayerChoice]
	audio   atomic.Pointer[soundWish] // nil: the first track

	// ───
	joined bool
	busy   bool         // it is among shard.busy
	sound  atomic.Int32 // the audio track that it gets; the API reads it
	src    *source
	out    Output
	opener egress.ControlOpener
	tracks [downTracks]*downTrack
	quota  rtcpQuota
	// lackedAt is since when the viewer cannot decode what is published.
	lackedAt time.Time

	firstSent time.Time // of the first packet to this viewer
	counts    counts
	link      *link // nil: the viewer reports no arrivals
	allocator *allocate.Allocator
	input     allocate.Input
	videos    [1]allocate.Video
	reason    allocate.Code
	wants     media.LayerSet // of src, as the tally counts it
	told      media.Bitrate
	reference reference
	rtt       time.Duration
}

// counts are what of the stats changes with each packet, until tell.
type counts struct {
	packets, bytes uint64
	latency        int64
}

// tell shows the counts to the API: once a burst, as atomics cost as much as all
// else that is counted.
//
// hot:
func (v *viewer) tell() {
	c := &v.counts
	if c.packets == 0 {
		return
	}
	v.stats.packets.Add(c.packets)
	v.stats.bytes.Add(c.bytes)
	if c.latency != 0 {
		v.stats.latency.Store(c.latency)
	}
	*c = counts{}
}

// viewerStats are read by the API while the shard writes them.
type viewerStats struct {
	packets, bytes, resent, dropped atomic.Uint64
	lossPPM, jitter, rtt, latency   atomic.Int64 // parts per million; nanoseconds
	current                         atomic.Int64 // layer + 1; 0 is none
	estimate                        atomic.Int64 // bits per second; 0 is unknown
	why                             atomic.Pointer[string]
	noCodec                         atomic.Bool
	started                         atomic.Bool // the first media packet was sent
}

func newViewer(st *stream, o media.Offer, r *negotiate.Remote) *viewer {
	wish := newWish(o.Audio[:min(len(o.Audio), maxWish)])
	o.SDP, o.Audio = nil, "" // they were read
	v := &viewer{st: st, offer: o, remote: r, shard: st.sfu.quietest(), since: time.Now(), log: context.Background()}
	automatic := media.AutomaticChoice()
	v.choice.Store(&automatic)
	v.audio.Store(wish)
	v.shard.viewers.Add(1)
	if a := r.Audio(); a != nil {
		v.tracks[media.AudioTrack] = newDownTrack(media.AudioTrack, a)
	}
	if m := r.Video(); m != nil {
		v.tracks[media.VideoTrack] = newDownTrack(media.VideoTrack, m)
	}
	for _, t := range v.tracks {
		if t != nil && t.ext.TransportCC != 0 && v.link == nil {
			v.link = newLink()
			v.allocator = allocate.New(allocate.DefaultConfig())
			v.videos[0].Key = 1
			v.input.Videos = v.videos[:]
		}
	}
	return v
}

func (v *viewer) params() transport.Params {
	return transport.Params{
		Receive: func(batch []transport.Datagram) {
			v.shard.report(control{v, batch[:min(len(batch), quotaPerTick)]}) // more would not be looked at
		},
		Ready: func(k transport.Keys) {
			v.arrival.end()
			v.st.sfu.log.InfoContext(v.log, "viewer connected", "stream", v.st.id, "session", short(v.offer.Session),
				"subject", v.offer.Subject, "after", time.Since(v.offer.At).Round(time.Millisecond), "transport", v.conn.Network())
			v.shard.order(order{kind: orderJoin, viewer: v, keys: k})
		},
		Closed: v.finish,
	}
}

func (v *viewer) close(why error) { v.conn.Close(why) }

// finish runs once, from the transport's Closed.
func (v *viewer) finish(why error) {
	v.once.Do(func() {
		v.gone.Store(true)
		v.arrival.end()
		v.shard.order(order{kind: orderLeave, viewer: v})
		v.st.unwatch(v)
		v.st.sfu.ended("viewer", v.offer.Session, why)
		v.st.changed.notify()
	})
}

func (v *viewer) restart(c icelite.Credentials) error { return v.conn.Restart(c) }
func (v *viewer) transport() conn                     { return v.conn }
func (v *viewer) belongs() *stream                    { return v.st }

// establish takes the keys.
func (v *viewer) establish(k transport.Keys) error {
	var err error
	if v.opener, err = k.ControlOpener(); err != nil {
		return err
	}
	sealers, err := k.Sealers(v.repeats())
	if err != nil {
		return err
	}
	v.out = newDirect(v.conn, v.shard.engine, sealers)
	return nil
}

// repeats is how many packets of a track may be sealed again, the very same:
// where resends have no RTX of their own (see mayResend).
func (v *viewer) repeats() int {
	n := 0
	for _, t := range v.tracks {
		if t == nil || !slices.ContainsFunc(t.line.Codecs, func(c negotiate.Codec) bool { return c.RTX == 0 }) || !v.mayResend(t) {
			continue
		}
		if t.kind == media.Audio {
			n = max(n, audioPlaces)
		} else {
			n = mostRepeats
		}
	}
	return n
}

// begin starts media from what the ring has.
func (v *viewer) begin(now time.Time) {
	v.st.dirty.Store(true)
	if src := v.st.current.Load(); src != nil {
		v.adopt(src, now)
		if v.link != nil {
			v.repace(now) // the first key frame does not wait for the first look at the link
		}
		v.replay(now)
	}
}

// adopt turns to a source: a new epoch, or the first one.
func (v *viewer) adopt(src *source, now time.Time) {
	v.want(0)
	v.src = src
	v.stopReplay()
	v.clear()
	noCodec := false
	for _, t := range v.tracks {
		if t == nil {
			continue
		}
		t.adopt()
		if t.kind == media.Audio {
			t.id = src.soundOf(v.audio.Load())
			v.heard(t.id)
		}
		info := src.info(t.id)
		if info == nil {
			continue
		}
		noCodec = !t.turn(info) || noCodec
		if t.kind == media.Video && t.pt != 0 {
			t.selector.Layers(info.Layers)
			t.selector.Choose(*v.choice.Load())
			v.adapt(now) // which layer to begin with
			v.startReplay(t, now)
		}
	}
	v.lack(noCodec, now)
}

// lack notes whether a track flows in a codec that this viewer did not offer.
func (v *viewer) lack(lacks bool, now time.Time) {
	if v.stats.noCodec.Swap(lacks) != lacks {
		v.lackedAt = now
		v.st.changed.notify()
	}
}

func (v *viewer) switched(t *downTrack, p *media.Packet, now time.Time) {
	t.flowing = true
	t.nextReport = now // tell the new mapping at once
	if !v.stats.started.Swap(true) {
		v.st.sfu.metrics.firstMedia.Observe(now.Sub(v.offer.At).Seconds())
	}
	if t.kind == media.Video && v.stats.current.Swap(int64(p.Layer)+1) != int64(p.Layer)+1 {
		v.st.changed.notify()
	}
}

// house does what is due: reports, wishes for key frames, news of layers.
func (v *viewer) house(now time.Time) {
	if v.src == nil {
		return
	}
	v.quota.refill()
	v.tell()
	v.follow(now)
	if v.stats.noCodec.Load() && now.Sub(v.lackedAt) > lackTime {
		v.st.sfu.running.Go(func() { v.close(media.ErrNoCodec) }) // not from here: closing orders a leave; ends at once
		v.lackedAt = now.Add(time.Hour)
		return
	}
	for _, t := range v.tracks {
		if t == nil {
			continue
		}
		if infos := v.src.tracks.Load(); t.kind == media.Audio && infos != t.known {
			t.known = infos
			v.tune()
		}
		if t.pt == 0 {
			continue
		}
		if t.kind == media.Video {
			if infos := v.src.tracks.Load(); infos != t.known {
				t.known = infos
				if info := v.src.info(t.id); info != nil {
					t.selector.Layers(info.Layers)
				}
			}
			t.playout.Tick(now)
			v.adapt(now)
			v.wish(t, now)
		}
		if t.flowing && !now.Before(t.nextReport) {
			v.report(t, now)
		}
	}
	v.demand()
}

// wish asks for the key frame that a track waits for, again each half second:
// the publisher's requester decides what is really sent.
func (v *viewer) wish(t *downTrack, now time.Time) {
	if t.replaying {
		return
	}
	if t.withheld {
		if t.stills && now.Sub(t.stillAt) >= stillWish && now.Sub(t.asked) >= stillWish {
			t.asked = now
			v.src.ask(t.id, t.selector.Target())
		}
		return
	}
	l, key := t.selector.Wants()
	if key && now.Sub(t.asked) >= 500*time.Millisecond {
		t.asked = now
		v.src.ask(t.id, l)
	}
}

// choose takes the viewer's wish for layers.
func (v *viewer) choose(c media.LayerChoice) error {
	if m := v.named(c.MID); m == nil || m.Kind != media.Video || m.Rejected {
		return fmt.Errorf("%w: m-line %q carries no video", media.ErrBadChoice, c.MID)
	}
	if src := v.st.current.Load(); c.RID != "" && src != nil {
		info := src.info(media.VideoTrack)
		if info == nil || !slices.ContainsFunc(info.Layers, func(l media.LayerInfo) bool { return l.RID == c.RID }) {
			return fmt.Errorf("%w: no layer is named %q", media.ErrBadChoice, c.RID)
		}
	}
	v.choice.Store(&c)
	v.shard.order(order{kind: orderChoose, viewer: v, choice: c})
	v.st.changed.notify()
	return nil
}

// named returns the m-line of a choice: by its number, as the extension's draft
// has it, by its mid, or, where the choice names none, the video one.
func (v *viewer) named(mid string) *negotiate.Media {
	if mid == "" {
		return v.remote.Video()
	}
	if i, err := strconv.Atoi(mid); err == nil && i >= 0 && i < len(v.remote.Media) {
		return &v.remote.Media[i]
	}
	return v.remote.ByMID(mid)
}

func (v *viewer) applyChoice(c media.LayerChoice, now time.Time) {
	if t := v.tracks[media.VideoTrack]; t != nil {
		t.selector.Choose(c)
		t.asked = time.Time{}
		if v.src != nil {
			v.wish(t, now)
			v.demand()
		}
	}
}
