package recorder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/captions"
	"github.com/sluice-live/sluice/recorder/journal"
)

// captionTime is how long a tape may take to answer: it is busy for milliseconds.
const captionTime = 2 * time.Second

// textPeak is the bandwidth that is declared of text: a line of 80 characters a second.
const textPeak = 2000

// said are captions on their way to a tape, with what became of them.
type said struct {
	all    []media.Caption
	answer chan<- media.Captioned
}

// texts is the rendition of one language: its segments are those of another.
type texts struct {
	is       media.Rendition
	of       *rendition
	track    captions.Track
	segments []*media.Segment // what snapshots share is appended to, never written again
}

// Caption adds captions to a stream: to its renditions, and to its recording. When it
// returns they are kept as media is. media.ErrNotFound when the stream is not packaged
// here.
func (r *Recorder) Caption(ctx context.Context, stream media.StreamID, all []media.Caption) (media.Captioned, error) {
	t := r.find(string(stream))
	if t == nil {
		return media.Captioned{}, fmt.Errorf("caption %q: %w", stream, media.ErrNotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, captionTime)
	defer cancel()
	answer := make(chan media.Captioned, 1)
	select {
	case t.in <- delivery{said: &said{all, answer}}:
	case <-t.done:
		return media.Captioned{}, fmt.Errorf("caption %q: %w", stream, media.ErrNotFound)
	case <-ctx.Done():
		return media.Captioned{}, fmt.Errorf("caption %q: %w", stream, ctx.Err())
	}
	select {
	case done := <-answer:
		return done, nil
	case <-t.done:
		return media.Captioned{}, fmt.Errorf("caption %q: %w", stream, media.ErrNotFound)
	case <-ctx.Done():
		return media.Captioned{}, fmt.Errorf("caption %q: %w", stream, ctx.Err())
	}
}

// caption takes captions that came.
func (t *tape) caption(s *said) {
	out := media.Captioned{}
	for _, c := range s.all {
		if t.cutter == nil || len(t.lanes) == 0 { // nothing is captured yet that they could belong to
			break
		}
		late, err := t.write(c)
		if late {
			out.Late++
			t.r.metrics.captions.WithLabelValues("late").Inc()
		} else {
			t.r.metrics.captions.WithLabelValues("in time").Inc()
		}
		if err != nil {
			t.keep(err)
			if !errors.Is(err, errBehind) {
				continue
			}
		}
		out.Packaged++
		if t.policy.Record && t.store.Load() != nil {
			out.Recorded++
		}
	}
	s.answer <- out
}

// write lays a caption into what is not published yet, and keeps it.
func (t *tape) write(c media.Caption) (late bool, err error) {
	x := t.text(c.Language)
	if x == nil {
		return false, nil // it has as many languages as it may have
	}
	start, end := c.Start.Sub(t.start), c.End.Sub(t.start)
	shown, to, late := captions.Place(start, end, x.open())
	if shown < 0 || to <= shown {
		return late, nil
	}
	if err := x.track.Add(shown, to, c.Text); err != nil {
		return late, nil //nolint:nilerr // a minute of captions waits already: the rate is bounded before
	}
	return late, t.journal().Caption(journal.Caption{Caption: c, Shown: shown})
}

// open is where what is not published yet begins. Whole milliseconds, as they are
// kept.
func (x *texts) open() time.Duration {
	const ms = time.Millisecond
	return (x.of.is.Time(x.of.end()) + ms - 1).Truncate(ms)
}

// text returns the rendition of a language; a new one has silence up to now.
func (t *tape) text(language string) *texts {
	for _, x := range t.texts {
		if x.is.Language == language {
			return x
		}
	}
	if len(t.texts) >= media.MaxLanguages {
		return nil
	}
	of := t.lanes[0]
	for _, r := range t.lanes { // the first that there was: it has the most segments
		if !isDerived(r.is.ID) && r.since() < of.since() {
			of = r
		}
	}
	x := &texts{of: of, is: media.Rendition{
		ID: "captions-" + language, Kind: media.SubtitleRendition, Codec: "wvtt", Timescale: of.is.Timescale,
		Language: language, Name: media.LanguageName(language), Bandwidth: textPeak, Mean: textPeak / 2,
	}}
	t.texts = append(t.texts, x)
	slices.SortFunc(t.texts, func(a, b *texts) int { return strings.Compare(a.is.ID, b.is.ID) })
	x.follow()
	t.log.Info("rendition began", "rendition", x.is.ID)
	return x
}

// since is the number of the first segment that there is.
func (r *rendition) since() uint64 {
	switch {
	case len(r.segments) > 0:
		return r.segments[0].MSN
	case r.open != nil:
		return r.open.MSN
	}
	return ^uint64(0)
}

// follow makes the segments that the other rendition has, and lets go of those that it
// let go of. It reports whether there are new ones.
func (x *texts) follow() (more bool) {
	theirs := x.of.segments
	if len(theirs) == 0 {
		return false
	}
	for len(x.segments) > 0 && x.segments[0].MSN < theirs[0].MSN {
		x.segments = x.segments[1:]
	}
	x.is.Removed = x.of.is.Removed
	next := theirs[0].MSN
	if n := len(x.segments); n > 0 {
		next = x.segments[n-1].MSN + 1
	}
	for i := int(next - theirs[0].MSN); i >= 0 && i < len(theirs); i++ {
		s := theirs[i]
		x.segments = append(x.segments, &media.Segment{
			MSN: s.MSN, Start: s.Start, Duration: s.Duration, Discontinuity: s.Discontinuity, Independent: true,
			Parts: []media.Part{{Start: s.Start, Duration: s.Duration, Independent: true,
				Data: x.track.Segment(x.of.is.Time(s.Start), x.of.is.Time(s.Start+s.Duration))}},
		})
		more = true
	}
	return more
}

// snapshot returns the rendition as readers see it.
func (x *texts) snapshot() *media.Rendition {
	out := x.is
	out.Segments = x.segments[:len(x.segments):len(x.segments)]
	return &out
}

// recite goes on with the text of what has ended since, and returns what changed.
func (t *tape) recite() (changed []string) {
	if !t.listed && len(t.lanes) > 0 {
		t.listed = true
		for _, language := range t.policy.Captions {
			t.text(language)
		}
	}
	for _, x := range t.texts {
		if x.follow() {
			changed = append(changed, x.is.ID)
		}
	}
	return changed
}

// recall takes over the captions of before: the segments become what they were.
func (t *tape) recall(all []journal.Caption) {
	if len(t.lanes) == 0 {
		return
	}
	byLanguage := map[string]*texts{}
	for _, c := range all {
		x := byLanguage[c.Language]
		if x == nil {
			if x = t.text(c.Language); x == nil {
				continue
			}
			x.segments = nil // they are made when all captions are there
			byLanguage[c.Language] = x
		}
		start, end := c.Start.Sub(t.start), c.End.Sub(t.start)
		_, to, _ := captions.Place(start, end, c.Shown)
		if from := x.from(); to > from {
			x.track.Restore(c.Shown, to, c.Text)
		}
	}
	t.recite()
}

// from is where the first segment begins that there is.
func (x *texts) from() time.Duration {
	if len(x.of.segments) == 0 {
		return 0
	}
	return x.of.is.Time(x.of.segments[0].Start)
}
