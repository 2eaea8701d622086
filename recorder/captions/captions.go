// Package captions lays captions into segments. It promises that each stands in every
// segment that it overlaps, from the first on that is not published yet, each time
// with the same times; and that the same captions make the same segments again. A
// kernel; not safe for concurrent use.
package captions

import (
	"errors"
	"slices"
	"time"

	"github.com/sluice-live/sluice/media/webvtt"
)

// ErrFull means that too many captions wait to be shown.
var ErrFull = errors.New("too many captions wait to be shown")

// maxWaiting bounds the captions of a track that are not over: a minute of them at
// the rate that is let in.
const maxWaiting = 600

// Track is one language.
type Track struct {
	cues []webvtt.Cue // not over yet, in the order of their beginning
}

// Place says when a caption is shown: from start to end, but not before open, where
// what is not published yet begins. One of which too little would be left is shown as
// long as it was meant to be.
func Place(start, end, open time.Duration) (from, to time.Duration, late bool) {
	if start >= open {
		return start, end, false
	}
	from, to = open, end
	if to-from < (end-start)/2 {
		to = from + end - start
	}
	return from, to, true
}

// Add takes a caption with the times between which it is shown. All come before the
// segments that they overlap are made.
func (t *Track) Add(from, to time.Duration, text string) error {
	if len(t.cues) >= maxWaiting {
		return ErrFull
	}
	t.Restore(from, to, text)
	return nil
}

// Restore is Add of what was let in before: many may wait, as long as the segments of
// then have to be made.
func (t *Track) Restore(from, to time.Duration, text string) {
	c := webvtt.Cue{Start: from, End: to, Text: webvtt.Escape(text)}
	at := len(t.cues)
	for at > 0 && t.cues[at-1].Start > from { // those of one time in the order that they came in
		at--
	}
	t.cues = slices.Insert(t.cues, at, c)
}

// silence is a segment in which nothing is said: all share it.
var silence = webvtt.Append(nil, &webvtt.File{}, true)

// Segment makes the segment between two media times; they come in order. Nobody may
// change it.
func (t *Track) Segment(from, to time.Duration) []byte {
	t.cues = slices.DeleteFunc(t.cues, func(c webvtt.Cue) bool { return c.End <= from })
	n := 0
	for n < len(t.cues) && t.cues[n].Start < to {
		n++
	}
	if n == 0 {
		return silence
	}
	return webvtt.Append(nil, &webvtt.File{Cues: t.cues[:n]}, true)
}
