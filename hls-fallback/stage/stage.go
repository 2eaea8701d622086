// Package stage plays a recorder for the tests of this room: it makes snapshots
// as one would publish them, with made-up media. It promises the words of
// media.Presentation and nothing of real pictures. Not safe for concurrent use.
package stage

import (
	"slices"
	"strconv"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Start is when every staged presentation began.
var Start = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// Stage is a presentation that is being made.
type Stage struct {
	p     media.Presentation
	lanes []*lane
	keep  int
	// Bytes are how large a part is; 0 leaves the data out.
	Bytes int
	// Make, when set, makes the bytes of a part, and Head of an init section.
	Make func(r *media.Rendition, seq uint32, part media.Part) []byte
	Head func(r *media.Rendition) []byte
}

// lane is one rendition with what will happen at its next segment.
type lane struct {
	r      media.Rendition
	gap    bool
	jump   bool
	dull   bool // begins without a key frame
	offset int64
	seq    uint32
}

// New begins a presentation: two renditions of pictures, Opus and AAC, parts of
// half a second, target duration 6 s.
func New(stream string) *Stage {
	s := &Stage{keep: 1 << 30}
	s.p = media.Presentation{
		Stream: media.StreamID(stream), Incarnation: "t5abcde000000001", Start: Start,
		TargetDuration: 6 * time.Second, PartTarget: 500 * time.Millisecond,
	}
	s.Add(media.Rendition{ID: "video-h", Kind: media.VideoRendition, Codec: "avc1.64001f", Timescale: 90000, Width: 1280, Height: 720, FPS: 30, Bandwidth: 2500000, Mean: 2100000})
	s.Add(media.Rendition{ID: "video-l", Kind: media.VideoRendition, Codec: "avc1.42c015", Timescale: 90000, Width: 320, Height: 180, FPS: 30, Bandwidth: 200000, Mean: 160000})
	s.Add(media.Rendition{ID: "audio", Kind: media.AudioRendition, Codec: "opus", Timescale: 48000, Channels: 2, Bandwidth: 72000, Mean: 64000, Language: "en", Name: "English", Default: true})
	s.Add(media.Rendition{ID: "audio-aac", Kind: media.AudioRendition, Codec: "mp4a.40.2", Timescale: 48000, Channels: 2, Bandwidth: 136000, Mean: 128000, Language: "en", Name: "English", Default: true})
	return s
}

// Bare begins a presentation without renditions.
func Bare(stream string) *Stage {
	s := New(stream)
	s.lanes = nil
	return s
}

// Add adds a rendition; one that comes late begins with the segment that the
// others are making.
func (s *Stage) Add(r media.Rendition) {
	l := &lane{r: r, offset: 0}
	if r.Kind != media.SubtitleRendition && !r.OnDemand {
		l.r.Inits = []media.Init{s.init(&l.r)}
	}
	s.lanes = append(s.lanes, l)
}

func (s *Stage) init(r *media.Rendition) media.Init {
	i := media.Init{Codec: r.Codec, Width: r.Width, Height: r.Height, Data: []byte("init " + r.ID + " " + strconv.Itoa(len(r.Inits)))}
	if s.Head != nil {
		i.Data = s.Head(r)
	}
	return i
}

// Heads makes the init sections anew, after Head was set.
func (s *Stage) Heads() {
	for _, l := range s.lanes {
		for i := range l.r.Inits {
			l.r.Inits[i] = s.init(&l.r)
		}
	}
}

// Keep bounds the finished segments that a snapshot has.
func (s *Stage) Keep(n int) { s.keep = n }

// Targets sets target duration and part target, before the first part.
func (s *Stage) Targets(target, part time.Duration) {
	s.p.TargetDuration, s.p.PartTarget = target, part
}

// Renditions are the names, in order.
func (s *Stage) Renditions() []string {
	var names []string
	for _, l := range s.lanes {
		names = append(names, l.r.ID)
	}
	return names
}

func (s *Stage) lane(id string) *lane {
	return s.lanes[slices.IndexFunc(s.lanes, func(l *lane) bool { return l.r.ID == id })]
}

// Part publishes the next part of a rendition and returns the snapshot.
func (s *Stage) Part(id string) *media.Presentation {
	l := s.lane(id)
	if l.r.Open == nil {
		l.open()
	} else {
		o := *l.r.Open
		l.r.Open = &o
	}
	o := l.r.Open
	d := media.Ticks(s.p.PartTarget * time.Duration(l.r.Timescale) / time.Second)
	part := media.Part{Start: o.Start + sum(o.Parts), Duration: d, Gap: o.Gap, Independent: !o.Gap && o.Independent && (len(o.Parts) == 0 || l.r.Kind != media.VideoRendition)}
	if !o.Gap {
		part.Data = s.bytes(l, part)
		part.Extent = media.Extent{Volume: uint32(o.MSN / 64), Offset: l.offset, Size: int64(len(part.Data))}
		if len(o.Parts) == 0 {
			o.Extent = part.Extent
			o.Lead = part.Extent.Size / 2
		} else {
			o.Extent.Size += part.Extent.Size
		}
		l.offset += part.Extent.Size
	}
	o.Parts = append(slices.Clip(o.Parts), part)
	return s.Snapshot()
}

func (s *Stage) bytes(l *lane, part media.Part) []byte {
	l.seq++
	if s.Make != nil {
		return s.Make(&l.r, l.seq, part)
	}
	b := make([]byte, s.Bytes)
	for i := range b {
		b[i] = byte(l.seq) + byte(i*7)
	}
	return b
}

func sum(parts []media.Part) (d media.Ticks) {
	for _, p := range parts {
		d += p.Duration
	}
	return d
}

// open begins the segment that follows.
func (l *lane) open() {
	next := &media.Segment{Init: max(len(l.r.Inits)-1, 0), Independent: !l.dull && !l.gap, Gap: l.gap, Discontinuity: l.jump}
	if n := len(l.r.Segments); n > 0 {
		last := l.r.Segments[n-1]
		next.MSN, next.Start, next.Behind = last.MSN+1, last.Start+last.Duration, len(last.Parts)
	}
	l.jump, l.dull = false, false
	l.r.Open = next
}

// Close ends the segment of a rendition that is open, and begins the next one,
// without parts yet.
func (s *Stage) Close(id string) *media.Presentation {
	l := s.lane(id)
	if l.r.Open == nil || len(l.r.Open.Parts) == 0 {
		return s.Snapshot()
	}
	done := *l.r.Open
	done.Duration = sum(done.Parts)
	l.r.Segments = append(slices.Clip(l.r.Segments), &done)
	s.forget(l)
	l.open()
	return s.Snapshot()
}

// forget drops what is too old, as a recorder does: parts first.
func (s *Stage) forget(l *lane) {
	const withParts = 24
	if n := len(l.r.Segments); n > withParts && l.r.Segments[n-withParts-1].Parts != nil {
		old := *l.r.Segments[n-withParts-1]
		old.Parts = nil
		l.r.Segments[n-withParts-1] = &old
	}
	for len(l.r.Segments) > s.keep {
		if l.r.Segments[0].Discontinuity {
			l.r.Removed++
		}
		l.r.Segments = l.r.Segments[1:]
	}
}

// Segment publishes n parts of each rendition and closes the segment.
func (s *Stage) Segment(n int) *media.Presentation {
	for range n {
		for _, l := range s.lanes {
			if !l.r.OnDemand {
				s.Part(l.r.ID)
			}
		}
	}
	for _, l := range s.lanes {
		s.Close(l.r.ID)
	}
	return s.Snapshot()
}

// Gap makes the segments of a rendition gaps, from the next one on, or ends that.
func (s *Stage) Gap(id string, on bool) { s.lane(id).gap = on }

// Dull lets the next segment of a rendition begin without a key frame.
func (s *Stage) Dull(id string) { s.lane(id).dull = true }

// Turn gives a rendition another codec, in the initialisation sections that are made
// from now on.
func (s *Stage) Turn(id, codec string) { s.lane(id).r.Codec = codec }

// Jump makes the segment that every rendition begins next a discontinuity; with
// fresh they get new initialisation sections.
func (s *Stage) Jump(fresh bool) {
	for _, l := range s.lanes {
		l.jump = true
		if fresh {
			l.r.Inits = append(slices.Clip(l.r.Inits), s.init(&l.r))
		}
		if o := l.r.Open; o != nil && len(o.Parts) == 0 { // announced already, without parts
			l.r.Open = nil
			l.open()
		}
	}
}

// End ends the presentation: what is open becomes its last segment.
func (s *Stage) End() *media.Presentation {
	for _, l := range s.lanes {
		s.Close(l.r.ID)
		l.r.Open = nil
	}
	s.p.Ended = true
	return s.Snapshot()
}

// Snapshot is the presentation as it stands.
func (s *Stage) Snapshot() *media.Presentation {
	s.p.Version++
	p := s.p
	p.Renditions = nil
	for _, l := range s.lanes {
		r := l.r
		p.Renditions = append(p.Renditions, &r)
	}
	return &p
}
