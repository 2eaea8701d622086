package sfu

import (
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/media"
)

// tally counts, by layer, the viewers that want the video of one source. Shards
// write to it when a viewer's wishes change, at most ten times a second each.
type tally struct {
	counts [media.MaxLayers]atomic.Int32
	// woken tells the publisher that a layer is wanted that was not; full: it is
	// being told already.
	woken chan struct{}
}

// change takes one viewer's new wishes for its old ones.
func (t *tally) change(before, now media.LayerSet) {
	news := false
	for l := media.Layer(0); l < media.MaxLayers; l++ {
		switch {
		case now.Has(l) && !before.Has(l):
			news = t.counts[l].Add(1) == 1 || news
		case before.Has(l) && !now.Has(l):
			t.counts[l].Add(-1)
		}
	}
	if news {
		t.wake()
	}
}

func (t *tally) wake() {
	select {
	case t.woken <- struct{}{}:
	default:
	}
}

// wanted returns the layers that at least one viewer wants.
func (t *tally) wanted() media.LayerSet {
	var s media.LayerSet
	for l := media.Layer(0); l < media.MaxLayers; l++ {
		if t.counts[l].Load() > 0 {
			s = s.With(l)
		}
	}
	return s
}

// demand tells the source which layers this viewer has use for.
func (v *viewer) demand() {
	t := v.tracks[media.VideoTrack]
	if v.src == nil || t == nil {
		return
	}
	var wants media.LayerSet
	if t.pt != 0 { // else it cannot decode what is published
		wants = t.selector.Demand(max(0, v.input.Estimate-v.input.Audio))
		if t.replaying {
			wants = wants.With(t.replayOf)
		}
	}
	v.want(wants)
}

func (v *viewer) want(s media.LayerSet) {
	if s != v.wants {
		v.src.tally.change(v.wants, s)
		v.wants = s
	}
}

// wants returns the layers of a track that the sink takes.
func (k *sink) wants() media.LayerSet {
	d := k.want.Load()
	if !d.Video {
		return 0
	}
	if len(d.Layers) == 0 {
		return media.AllLayers
	}
	var s media.LayerSet
	for _, l := range d.Layers {
		s = s.With(l)
	}
	return s
}

// wanted sums up who wants what of a source: its video layers, and its sound.
func (st *stream) wanted(src *source) (video media.LayerSet, audio bool) {
	video = src.tally.wanted()
	for i := range st.present {
		audio = audio || st.present[i].Load() > 0
	}
	if sinks := st.fan.Load(); sinks != nil {
		for _, k := range *sinks {
			video |= k.wants()
			audio = audio || k.want.Load().Audio
		}
	}
	return video, audio
}

// weigh finds out which layers nobody wants, and has the publisher told when one
// shall rest or come back. A publisher that cannot be told goes on as before:
// its layer flows, and is not handed to anybody.
func (p *publisher) weigh(now time.Time) {
	p.wanted, p.heard = p.st.wanted(p.source)
	infos := p.source.tracks.Load()
	if infos == nil {
		return
	}
	for i := range *infos {
		if info := &(*infos)[i]; info.Kind == media.Video && p.demand.Update(p.wanted, info.Layers, now) {
			p.publishTracks(now)
			p.st.changed.notify()
		}
	}
}

// mark says of a layer who wants it and what is made of that.
func (p *publisher) mark(u *upstream, info media.LayerInfo) media.LayerInfo {
	if u.codec.Kind() == media.Audio {
		info.Wanted = p.heard
		return info
	}
	info.Wanted, info.Rest = p.wanted.Has(u.layer), p.demand.Rests(u.layer)
	info.Paused = !info.Active && p.demand.Comes(u.layer)
	return info
}

// encodings says which layers a publisher of several shall send.
func (p *publisher) encodings() []media.Encoding {
	info := p.source.info(media.VideoTrack)
	if info == nil || len(info.Layers) < 2 {
		return nil
	}
	var all []media.Encoding
	for _, l := range info.Layers {
		if l.RID != "" {
			all = append(all, media.Encoding{RID: l.RID, Active: !l.Rest})
		}
	}
	return all
}
