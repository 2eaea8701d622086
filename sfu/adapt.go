package sfu

import (
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/bwe"
	"github.com/sluice-live/sluice/sfu/allocate"
)

const (
	// spare is what a layer takes on the wire above its payload: 60 to 80 bytes in
	// 1,200. Resends are in the allocator's margin.
	spare = 1.06
	// distinct is the largest share that a lower temporal layer may have to be worth
	// a choice of its own.
	distinct = 0.9
	// unheardTime is how long a viewer may get packets before its first arrival
	// report: browsers send one within 100 ms.
	unheardTime = 3 * time.Second
	// stillPause is the least time between two still pictures, stillWish when one is
	// asked for. A key frame takes what its layer does in a fifth of a second:
	// a tenth of the rate or two; stillShare of it must be free.
	stillPause, stillWish = 1500 * time.Millisecond, 4 * time.Second
	stillShare            = 4
	// tightShare of the smallest layer must fit, or it is no picture: what fits less
	// well is shown with stops, which the next good second ends; a picture that was
	// taken away is found to fit again by probes only, seconds later.
	tightShare = 0.7
	// spareTime is how long a link must have been too thin for any picture: three
	// or four cuts of the estimate, or a few reports after false ones.
	spareTime = 800 * time.Millisecond
	// provenTime is how long the first probe may take; then the guess counts.
	provenTime = time.Second
	// audioOverhead is what sound's headers take at 50 packets a second.
	audioOverhead = 50 * overhead * 8
)

// adapt chooses what the viewer gets for what its link carries, and looks for
// more by probes; ten times a second.
func (v *viewer) adapt(now time.Time) {
	t := v.tracks[media.VideoTrack]
	if v.link == nil || t == nil || t.pt == 0 {
		return
	}
	v.link.adapted = now
	state := v.link.estimator.State()
	if !state.Measured && v.unheard(now) {
		return
	}
	v.repace(now)
	if v.link.moved && v.unproven(now) {
		v.lookFor(state.Estimate+1, now)
		return
	}
	v.link.moved = false
	v.input.Estimate, v.input.Congested, v.input.Stalled = state.Estimate, state.Congested, state.Stalled
	v.input.Audio = v.soundRate()
	v.options(t)
	if v.unproven(now) {
		v.input.Estimate = v.firstEstimate()
	}
	r := v.allocator.Decide(v.input, now)
	c := r.Choices[0]
	// Without a single report, an estimate is a guess: it may choose a layer, not
	// take the only one away.
	least, some := v.smallest()
	paused := c.Paused && c.Reason.Code != allocate.Nothing && state.Measured
	small := paused && some && !state.Stalled
	tight := small && float64(state.Estimate-v.input.Audio) < tightShare*float64(least.Bitrate)
	if spared := v.spared(tight, now); small && (spared || !tight) {
		paused = false
		v.limit(t, least, state.Congested)
	}
	v.withhold(t, paused)
	if !c.Paused {
		v.limit(t, c.Option, state.Congested || state.Stalled)
	}
	v.stills(t, state)
	v.spareCopies(c, state.Estimate)
	v.explain(state.Estimate, c.Reason)
	v.wish(t, now)
	v.lookFor(r.Wanted, now)
}

// limit sets the layer that the link carries. On a link that is full already,
// nothing more of a larger one is sent, not even what waits.
func (v *viewer) limit(t *downTrack, o allocate.Option, full bool) {
	before := t.selector.Target()
	t.selector.Limit(o.Layer, o.Spatial, o.Temporal)
	if t.selector.Target() == before {
		return
	}
	t.asked = time.Time{} // its key frame is wanted now
	t.down, t.chosen = o.Bitrate < t.chosen, o.Bitrate
	if full && t.selector.Current() != t.selector.Target() {
		v.stopReplay()
		v.clear()
		t.selector.Resync()
	}
}

// unheard gives the link up where a viewer that promised arrival reports sends
// none: from then on it gets packets as they come.
func (v *viewer) unheard(now time.Time) bool {
	if v.firstSent.IsZero() || now.Sub(v.firstSent) < unheardTime {
		return false
	}
	for _, q := range []*queue{&v.link.video, &v.link.resends} {
		for q.len() > 0 {
			last := v.link.video.len()+v.link.resends.len() == 1
			switch o := q.take(&v.shard.spare); {
			case o.skipped:
				v.closeUp(&o, now)
			case o.resend:
				v.emit(&o, now)
			default:
				v.send(&o, now)
			}
			if last {
				v.shard.pacing--
			}
		}
	}
	v.clear()
	v.link = nil
	if t := v.tracks[media.VideoTrack]; t != nil {
		t.selector.Limit(media.AnyLayer, allocate.AllLayers, allocate.AllLayers)
	}
	return true
}

// withhold stops or goes on with the picture. It goes on at a key frame.
func (v *viewer) withhold(t *downTrack, stop bool) {
	if t.withheld && !stop {
		t.selector.Resync()
		t.asked = time.Time{}
	}
	if stop && !t.withheld { // what waits would not get through either
		v.stopReplay()
		v.clear()
	}
	t.withheld = stop
}

// smallest returns the option that takes least.
func (v *viewer) smallest() (least allocate.Option, ok bool) {
	for i, o := range v.videos[0].Options {
		if i == 0 || o.Bitrate < least.Bitrate {
			least, ok = o, true
		}
	}
	return least, ok
}

// spared reports whether a link has been too thin for any picture for a moment
// only: the smallest one goes on meanwhile, as far as the pacer lets it pass the
// sound. What looks like a link that fell to nothing is often a busy machine.
func (v *viewer) spared(thin bool, now time.Time) bool {
	if !thin {
		v.link.thinAt = time.Time{}
		return false
	}
	if v.link.thinAt.IsZero() {
		v.link.thinAt = now
	}
	return now.Sub(v.link.thinAt) < spareTime
}

// stills decides whether the key frames of the smallest layer are sent where the
// link carries sound and no moving picture: one each few seconds is more than none.
func (v *viewer) stills(t *downTrack, state bwe.State) {
	t.stills = false
	least, some := v.smallest()
	if !t.withheld || state.Stalled || !some {
		return
	}
	if state.Estimate < v.input.Audio+least.Bitrate/stillShare {
		return
	}
	t.stills = true
	t.selector.Limit(least.Layer, least.Spatial, least.Temporal)
}

// still sends a packet if it belongs to a key frame that may be shown alone.
func (v *viewer) still(t *downTrack, p *media.Packet, now time.Time) {
	if p.Layer != t.selector.Target() {
		return
	}
	if p.Key && p.TS > t.stillTS && now.Sub(t.stillAt) >= stillPause && v.link.pacer.Waiting() <= 0 {
		t.stillTS, t.stillAt = p.TS, now
		t.selector.Resync()
	}
	if p.TS == t.stillTS {
		v.decide(t, p, false, now)
	}
}

// options lists the ways to send the picture: the layers that flow, or the one
// that the viewer asked for by name.
func (v *viewer) options(t *downTrack) {
	choice := v.choice.Load()
	video := &v.videos[0]
	video.MaxWidth, video.MaxHeight = max(choice.MaxWidth, 0), max(choice.MaxHeight, 0)
	video.Options = video.Options[:0]
	info := v.src.info(t.id)
	if info == nil {
		return
	}
	for _, l := range info.Layers {
		if !l.Active && !l.Paused || choice.RID != "" && choice.RID != l.RID || len(video.Options)+3 > allocate.MaxOptions {
			continue
		}
		o := allocate.Option{Layer: l.ID, Spatial: allocate.AllLayers, Temporal: allocate.AllLayers,
			Width: l.Width, Height: l.Height, Bitrate: max(1, media.Bitrate(float64(meanOf(l))*spare))}
		video.Options = append(video.Options, o)
		for i, share := range l.Temporal {
			if share > 0 && share < distinct && len(info.Layers) == 1 { // fewer frames, where there is no smaller picture
				thin := o
				thin.Temporal, thin.Bitrate = uint8(i), max(1, media.Bitrate(float64(o.Bitrate)*share))
				video.Options = append(video.Options, thin)
			}
		}
	}
}

// meanOf is a layer's rate, or, in its first second, what pictures of its size
// take by experience: 2.7 bits per pixel and second are 2.5 Mbit/s of 720p.
func meanOf(l media.LayerInfo) media.Bitrate {
	if l.Mean > 0 {
		return l.Mean
	}
	return media.Bitrate(2.7 * float64(l.Width) * float64(l.Height))
}

// unproven reports whether the estimate is still a guess that something may
// come to know better soon: the first probe.
func (v *viewer) unproven(now time.Time) bool {
	state := v.link.estimator.State()
	return state.Why == bwe.Start && (!state.Measured || now.Sub(v.firstSent) < provenTime)
}

// firstEstimate is what the smallest layer needs: a viewer of whose link nothing
// is known begins with that one. A larger one would be a burst that a thin link
// takes seconds to get over; a good link is found out within two reports.
func (v *viewer) firstEstimate() media.Bitrate {
	least, _ := v.smallest()
	return (v.input.Audio + least.Bitrate) * 6 / 5 // with the allocator's margin
}

func (v *viewer) soundRate() media.Bitrate {
	t := v.tracks[media.AudioTrack]
	if t == nil {
		return 0
	}
	info := v.src.info(t.id)
	if info == nil || len(info.Layers) == 0 {
		return 0
	}
	return info.Layers[0].Bitrate + audioOverhead
}

// spareCopies stops the copies of lost sound where the link has no room for
// them beside what is sent: they would take the picture, or drown the sound.
func (v *viewer) spareCopies(c allocate.Choice, estimate media.Bitrate) {
	t := v.tracks[media.AudioTrack]
	if t == nil || t.repair.copies == 0 || !v.link.estimator.State().Measured {
		return
	}
	copies := (v.input.Audio - audioOverhead) * media.Bitrate(t.repair.copies)
	if v.input.Audio+copies+c.Option.Bitrate > estimate {
		t.repair.rest()
	}
}

// explain keeps why the viewer gets what it gets, for the player's menu. Only a
// change of words is told.
func (v *viewer) explain(estimate media.Bitrate, r allocate.Reason) {
	v.stats.estimate.Store(int64(estimate))
	if r.Code == v.reason && now10(estimate) == now10(v.told) {
		return
	}
	v.reason, v.told = r.Code, estimate
	words := r.String()
	if old := v.stats.why.Swap(&words); old == nil || *old != words {
		v.st.dirty.Store(true)
	}
}

// now10 rounds an estimate to what is worth saying anew: steps of a tenth.
func now10(b media.Bitrate) int {
	n := 0
	for ; b > 1000; b -= b / 10 {
		n++
	}
	return n
}
