package playlist

import "github.com/sluice-live/sluice/media"

// Lines keeps the written lines of a rendition's finished segments, so that a
// playlist of hours costs what changed and a copy. One Lines serves one
// rendition of one incarnation, with or without tokens.
type Lines struct {
	token bool
	text  []byte
	marks []mark // marks[i] is of the segment first+i; there is one more than segments
	first uint64
	began bool
}

// mark is where a segment's lines begin in the text, and which initialisation
// section is in effect before it.
type mark struct {
	offset int
	effect int
	jumps  uint64 // discontinuities before it, of those that this cache has seen
}

// NewLines returns an empty cache; token as in View.
func NewLines(token bool) *Lines { return &Lines{token: token} }

// update writes what is new and forgets what the snapshot has dropped.
func (l *Lines) update(p *media.Presentation, r *media.Rendition) {
	if len(r.Segments) == 0 {
		return
	}
	oldest, last := r.Segments[0].MSN, r.Segments[len(r.Segments)-1].MSN
	next := l.first + uint64(max(len(l.marks)-1, 0))
	if !l.began || oldest > next || oldest < l.first {
		// The first, or one that cannot be appended to what is here: begin anew. A map
		// whose segment is gone is found again from what is kept.
		*l = Lines{token: l.token, first: oldest, began: true, text: l.text[:0], marks: append(l.marks[:0], mark{effect: none})}
		next = oldest
	}
	l.drop(oldest)
	w := writer{b: l.text, p: p, r: r, token: l.token}
	for ; next <= last; next++ {
		s := r.Segments[next-oldest]
		m := l.marks[len(l.marks)-1]
		m.effect = w.head(s, m.effect)
		w.tail(s)
		if s.Discontinuity {
			m.jumps++
		}
		m.offset = len(w.b)
		l.marks = append(l.marks, m)
	}
	l.text = w.b
}

// drop forgets segments before oldest. The text moves only when half of it is
// gone, so that each byte moves once on average.
func (l *Lines) drop(oldest uint64) {
	gone := int(oldest - l.first)
	if gone == 0 {
		return
	}
	at := l.marks[gone].offset
	if at-l.marks[0].offset < len(l.text)/2 && gone < len(l.marks)/2 {
		return
	}
	l.text = l.text[:copy(l.text, l.text[at:])]
	l.marks = l.marks[:copy(l.marks, l.marks[gone:])]
	for i := range l.marks {
		l.marks[i].offset -= at
	}
	l.first = oldest
}

// between returns the lines of the segments [from, to) by number.
func (l *Lines) between(from, to uint64) []byte {
	if from >= to {
		return nil
	}
	return l.text[l.marks[from-l.first].offset:l.marks[to-l.first].offset]
}

// jumps counts the discontinuities of the segments before the one at index n.
func (l *Lines) jumps(r *media.Rendition, n int) uint64 {
	if n == 0 {
		return 0
	}
	oldest := r.Segments[0].MSN - l.first
	return l.marks[oldest+uint64(n)].jumps - l.marks[oldest].jumps
}

// effect is the initialisation section in effect before a segment.
func (l *Lines) effect(msn uint64) int {
	if !l.began {
		return none
	}
	return l.marks[msn-l.first].effect
}
