package recorder

import (
	"crypto/rand"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/segment"
	"github.com/sluice-live/sluice/recorder/timeline"
)

// clock returns a clock for a strand, in the presentation's time.
func (t *tape) clock(s *strand) *timeline.Clock { return timeline.New(s.codec.ClockRate(), t.start) }

// begin decides when media time 0 was, and lays what was gathered.
func (t *tape) begin(now time.Time) {
	old, log := t.resumed()
	if old != nil {
		t.resume(old, log)
	} else {
		t.start = t.origin()
		if t.r.cfg.Redundant {
			t.start = agreed
		}
		t.incarnation = newIncarnation(now)
		t.create()
	}
	cfg := segment.Config{Start: t.start, Nominal: t.r.cfg.Segment, Part: t.r.cfg.Part, Target: t.r.cfg.Target, Limit: t.r.cfg.limit(), Patience: t.r.cfg.Reorder,
		Locked: t.r.cfg.Redundant, First: media.FirstSegment}
	if old != nil {
		cfg.Resumed, cfg.First, cfg.From = true, t.next, t.from
	}
	t.cutter = segment.New(cfg)
	for _, r := range t.lanes {
		r.lane = t.cutter.Add(segment.Rendition{Kind: r.is.Kind, Timescale: r.is.Timescale, Begin: r.end(), Derived: isDerived(r.is.ID)})
	}
	t.keep(t.journal().Epoch(t.epoch, now))
	frames := t.timed()
	for _, g := range frames { // before the first snapshot: players read the entry playlist once
		if g.s.to == nil {
			t.assign(g.s, g.f)
		}
	}
	if old != nil {
		t.dismiss()
	}
	t.log.Info("presentation began", "incarnation", t.incarnation, "resumed", old != nil, "recorded", t.policy.Record)
	t.layAll(frames, now)
}

// origin is when the first picture was captured, or else the first sound; in whole
// milliseconds, which is what EXT-X-PROGRAM-DATE-TIME tells.
func (t *tape) origin() time.Time {
	clocks := map[*strand]*timeline.Clock{}
	reference := t.gathered[0].f.Arrival
	for _, g := range t.gathered {
		if clocks[g.s] == nil {
			clocks[g.s] = timeline.New(g.s.codec.ClockRate(), reference)
		}
		clocks[g.s].Prime(stamp(g.f))
	}
	var picture, sound time.Time
	seen := map[*strand]bool{}
	for _, g := range t.gathered {
		if seen[g.s] {
			continue
		}
		seen[g.s] = true
		ticks, _ := clocks[g.s].At(stamp(g.f))
		at := reference.Add(seconds(ticks, g.s.codec.ClockRate()))
		earliest := &sound
		if g.s.codec.Kind() == media.Video {
			earliest = &picture
		}
		if earliest.IsZero() || at.Before(*earliest) {
			*earliest = at
		}
	}
	if picture.IsZero() {
		picture = sound
	}
	return picture.Round(0).UTC().Truncate(time.Millisecond)
}

func seconds(t media.Ticks, rate uint32) time.Duration {
	return (&media.Rendition{Timescale: rate}).Time(t)
}

// newIncarnation returns 16 characters [a-z0-9] that sort by time: seconds in base
// 36, which have seven digits from 2038 on when padded, and 46 random bits.
func newIncarnation(now time.Time) string {
	head := strconv.FormatInt(now.Unix(), 36)
	head = strings.Repeat("0", max(7-len(head), 0)) + head
	most := new(big.Int).Exp(big.NewInt(36), big.NewInt(9), nil)
	n, err := rand.Int(rand.Reader, most)
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	tail := n.Text(36)
	return head + strings.Repeat("0", 9-len(tail)) + tail
}

// assign finds the rendition of an encoding, or begins one. False: there is none.
func (t *tape) assign(s *strand, f *media.Frame) bool {
	rid, track := "", media.TrackInfo{ID: s.track}
	for _, k := range t.tracks[s.epoch] {
		if k.ID != s.track {
			continue
		}
		track = k
		for _, l := range k.Layers {
			if l.ID == s.layer {
				rid = l.RID
			}
		}
	}
	id := name(rid, s.layer)
	if s.codec.Kind() == media.Audio {
		id = soundID(track)
	}
	if s.codec == media.VP8 {
		id = codecVP8 + strings.TrimPrefix(id, "video")
	}
	r := t.byName[id]
	if r == nil {
		published := 0
		for _, o := range t.lanes {
			if !isDerived(o.is.ID) {
				published++
			}
		}
		if published >= media.MaxLayers+media.MaxAudio {
			return false
		}
		kind := media.VideoRendition
		if s.codec.Kind() == media.Audio {
			kind = media.AudioRendition
		}
		r = newRendition(id, kind, s.codec.ClockRate())
		r.lane = t.cutter.Add(segment.Rendition{Kind: kind, Timescale: s.codec.ClockRate()})
		t.byName[id] = r
		t.lanes = append(t.lanes, r)
		t.describe(r)
	}
	if len(r.is.Inits) == 0 { // what it is decides whether it is listed
		if err := t.dress(r, f.Format); err != nil {
			t.log.Error("frames not packaged", "rendition", id, "error", err)
		}
	}
	r.track, r.layer = s.track, s.layer
	s.to, r.is.Left = r, false
	for _, d := range t.encoders.all {
		if d.of == r {
			d.to.is.Left = false
		}
	}
	if r.is.Kind == media.AudioRendition {
		t.speak(r, track)
		t.deriveSound(r)
	}
	return true
}
