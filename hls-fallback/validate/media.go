package validate

import (
	"bytes"
	"context"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/rules"
)

// queued bounds the parts that wait to be read. When it is full the newest are left
// out: the report says how many were read.
const queued = 64

// reader reads the media of one playlist, each part once, in order.
type reader struct {
	look     *run
	list     list
	queue    chan item
	sections map[string]*section // by URI; nil could not be read
	seenMSN  uint64
	seenPart int
	began    bool

	end     uint64 // where the part before ended, in ticks; 0 is unknown
	whole   []byte // the parts of the segment that is being read
	wholeAt uint64
	skipped bool // not all of its parts were read
	matched bool // a segment was held against its parts
}

// place is where a part stands.
type place struct {
	msn  uint64
	part int
}

// item is one part, or one whole segment.
type item struct {
	place
	segment rules.Segment
	part    rules.Part
	whole   bool
}

func newReader(r *run, l list) *reader {
	return &reader{look: r, list: l, queue: make(chan item, queued), sections: make(map[string]*section)}
}

// take queues what is new in a playlist. The first time it begins with the segment
// that is open: players begin near the edge too.
func (m *reader) take(p *rules.Playlist) {
	if !m.began {
		m.began = true
		m.seenMSN, m.seenPart = p.Open.MSN, -1
		if p.PartTarget == 0 && len(p.Segments) > 0 {
			m.seenMSN = p.Segments[len(p.Segments)-1].MSN
		}
	}
	for i := range p.Segments {
		m.parts(&p.Segments[i], true)
	}
	m.parts(&p.Open, false)
}

func (m *reader) parts(s *rules.Segment, ended bool) {
	if s.MSN < m.seenMSN {
		return
	}
	if s.MSN > m.seenMSN {
		m.seenMSN, m.seenPart = s.MSN, -1
	}
	for n := m.seenPart + 1; n < len(s.Parts); n++ {
		it := item{place: place{s.MSN, n}, segment: *s, part: s.Parts[n]}
		m.offer(it)
		m.seenPart = n
	}
	if ended {
		m.offer(item{place: place{s.MSN, len(s.Parts)}, segment: *s, whole: true})
		m.seenMSN, m.seenPart = s.MSN+1, -1
	}
}

func (m *reader) offer(it item) {
	select {
	case m.queue <- it:
	default:
	}
}

// run reads until the queue is closed or ctx ends.
func (m *reader) run(ctx context.Context) {
	for it := range m.queue {
		if ctx.Err() != nil {
			return
		}
		if it.whole {
			m.segment(ctx, it)
		} else {
			m.part(ctx, it)
		}
	}
}

// section returns the initialisation section of a segment, or nil.
func (m *reader) section(ctx context.Context, uri string) *section {
	if s, ok := m.sections[uri]; ok || uri == "" {
		return s
	}
	m.sections[uri] = nil
	g := m.load(ctx, uri, "the initialisation section")
	if g == nil {
		return nil
	}
	s, err := readSection(g.body)
	m.look.find(func(l *rules.List) {
		l.Add(err == nil, "CMAF", "%s: %s: %v", m.list.name, uri, err)
	})
	if err == nil {
		m.sections[uri] = &s
	}
	return m.sections[uri]
}

// load reads one resource that is listed.
func (m *reader) load(ctx context.Context, uri, what string) *got {
	u, err := resolve(m.list.url, uri)
	if err != nil {
		m.look.find(func(l *rules.List) { l.Add(false, "R0", "%s: %v", m.list.name, err) })
		return nil
	}
	g, err := m.look.fetch(ctx, u.String(), maxMedia)
	if ctx.Err() != nil {
		return nil
	}
	m.look.find(func(l *rules.List) {
		if err != nil {
			l.Add(false, "R8", "%s: %s %s: %v", m.list.name, what, uri, err)
			return
		}
		l.Add(g.status == http.StatusOK, "R8", "%s: %s %s is listed and answered with %d", m.list.name, what, uri, g.status)
		l.Advise(g.maxAge() < 0 || g.maxAge() >= 6*time.Second, "R19", "%s: %s may be kept %v only; media never changes (appendix B.1)", m.list.name, uri, g.maxAge())
	})
	if err != nil || g.status != http.StatusOK {
		return nil
	}
	return g
}

// part reads one Partial Segment and holds it against its line.
func (m *reader) part(ctx context.Context, it item) {
	if it.place.part == 0 {
		m.whole, m.wholeAt, m.skipped = nil, it.msn, false
	}
	if it.part.Gap {
		m.skipped, m.end = true, 0
		return
	}
	s := m.section(ctx, it.segment.Map)
	g := m.load(ctx, it.part.URI, "part")
	if s == nil || g == nil {
		m.skipped, m.end = true, 0
		return
	}
	m.whole = append(m.whole, g.body...)
	c, err := readChunk(g.body, *s)
	m.look.find(func(l *rules.List) {
		m.look.report.Parts++
		m.check(l, it, c, err, it.part.Duration, *s)
		if err == nil && s.video && it.part.Independent {
			l.Add(c.key, "R3", "%s: part %s says INDEPENDENT and does not begin with a sync sample", m.list.name, it.part.URI)
		}
	})
	if err == nil {
		m.end = c.start + c.duration
	} else {
		m.end = 0
	}
}

// check holds the times in the boxes against the playlist.
func (m *reader) check(l *rules.List, it item, c chunk, err error, says float64, s section) {
	l.Add(err == nil, "CMAF", "%s: %d.%d: %v", m.list.name, it.msn, it.place.part, err)
	if err != nil {
		return
	}
	l.Add(c.broken == "", "CMAF", "%s: %d.%d: %s", m.list.name, it.msn, it.place.part, c.broken)
	l.Add(c.zero == 0, "CMAF", "%s: %d.%d has %d samples without a duration", m.list.name, it.msn, it.place.part, c.zero)
	has := float64(c.duration) / float64(s.timescale)
	// A frame may lie over the edge: 1/24 s.
	l.Add(math.Abs(has-says) < 0.042, "CMAF", "%s: %d.%d lasts %.4f s in its boxes and %.4f s in the playlist", m.list.name, it.msn, it.place.part, has, says)
	if m.end > 0 && !(it.segment.Discontinuity && it.place.part == 0) {
		off := math.Abs(float64(int64(c.start-m.end))) / float64(s.timescale)
		l.Add(off < 0.0015, "CMAF", "%s: %d.%d begins %.4f s from where the one before ended", m.list.name, it.msn, it.place.part, off)
	}
}

// text looks at a WebVTT segment (section 3.1.4).
func (m *reader) text(it item, body []byte) {
	m.look.find(func(l *rules.List) {
		m.look.report.Segments++
		l.Add(bytes.HasPrefix(bytes.TrimPrefix(body, []byte("\ufeff")), []byte("WEBVTT")), "VTT", "%s: segment %d does not begin with WEBVTT", m.list.name, it.msn)
		l.Advise(bytes.Contains(body, []byte("X-TIMESTAMP-MAP=")), "VTT", "%s: segment %d has no X-TIMESTAMP-MAP (section 3.1.4)", m.list.name, it.msn)
	})
}

// segment reads a finished segment: the first and one in eight where its parts were read already,
// to see that they are the same bytes.
func (m *reader) segment(ctx context.Context, it item) {
	parts := len(it.segment.Parts) > 0
	if it.segment.Gap || parts && (m.matched && it.msn%8 != 0 || m.skipped || m.wholeAt != it.msn || len(m.whole) == 0) {
		return
	}
	s := m.section(ctx, it.segment.Map)
	g := m.load(ctx, it.segment.URI, "segment")
	if g != nil && strings.HasPrefix(g.header.Get("Content-Type"), "text/vtt") {
		m.text(it, g.body)
		return
	}
	if s == nil || g == nil {
		return
	}
	c, err := readChunk(g.body, *s)
	m.look.find(func(l *rules.List) {
		m.look.report.Segments++
		if parts {
			m.matched = true
			l.Advise(len(g.body) >= len(m.whole), "CMAF", "%s: segment %d has %d bytes, its parts have %d", m.list.name, it.msn, len(g.body), len(m.whole))
			l.Add(err == nil, "CMAF", "%s: segment %d: %v", m.list.name, it.msn, err)
			has := float64(c.duration) / float64(s.timescale)
			l.Add(err != nil || math.Abs(has-it.segment.Duration) < 0.042, "CMAF", "%s: segment %d lasts %.4f s in its boxes and %.4f s in the playlist", m.list.name, it.msn, has, it.segment.Duration)
			return
		}
		m.check(l, it, c, err, it.segment.Duration, *s)
	})
	if !parts && err == nil {
		m.end = c.start + c.duration
	}
}
