package recorder

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/cmaf"
	"github.com/sluice-live/sluice/recorder/segment"
	"github.com/sluice-live/sluice/recorder/webm"
)

// rendition is what has been packaged of one encoding, as its tape keeps it. What
// snapshots share is never written to again: slices are appended to, or copied.
type rendition struct {
	lane  int // of the cutter
	track media.TrackID
	layer media.Layer // which encoding it is of now

	is        media.Rendition // without segments
	format    *media.Format   // of the newest part
	init      int             // index of its initialisation section
	segments  []*media.Segment
	open      *media.Segment
	stored    bool // all media of the open segment are kept by the Log
	sequence  uint32
	unwritten map[uint64]bool // numbers of segments that the Log does not hold whole

	frames  int         // pictures, with lasting their time: the frame rate
	lasting media.Ticks // ticks
	bytes   int64       // of media, with spent their time: the mean bitrate
	spent   media.Ticks
	openLen int64 // bytes of the open segment

	toldFPS  float64 // what the Log was told of FPS and Bandwidth
	toldPeak media.Bitrate
}

const (
	// A rendition's peak is declared before it is known: bits per pixel and frame that
	// encoders in browsers do not exceed for long, at 30 frames per second.
	bitsPerPixel = 0.1
	leastPeak    = 150_000
	peakOfSound  = 128_000
	// headroom is what a segment may have above the peak that was seen so far (Apple's
	// authoring specification 1.29 allows 25 %).
	headroom = 1.1
)

func newRendition(id string, kind media.RenditionKind, timescale uint32) *rendition {
	return &rendition{unwritten: map[uint64]bool{}, is: media.Rendition{ID: id, Kind: kind, Timescale: timescale, Default: true}}
}

// resume goes on with what there is of a rendition.
func (r *rendition) resume(old *media.Rendition) {
	r.is = *old
	r.init = max(len(old.Inits)-1, 0)
	r.is.Segments, r.is.Open = nil, nil
	r.segments = slices.Clone(old.Segments)
	if old.Open != nil {
		r.segments = append(r.segments, old.Open)
	}
	if n := len(r.segments); n > 0 { // fragments are numbered upwards, not one by one
		r.sequence = uint32(r.segments[n-1].MSN+1) * 256
	}
}

// end returns the media time up to which there is something.
func (r *rendition) end() media.Ticks {
	if n := len(r.segments); n > 0 {
		return r.segments[n-1].Start + r.segments[n-1].Duration
	}
	return 0
}

// codecVP8 is the codecs parameter of pictures that live players do not get; their
// renditions are called vp8 instead of video.
const codecVP8 = "vp8"

// hidden reports whether the rendition is kept, but has no place in HLS and DASH:
// VP8. Its files are WebM, cut as CMAF is.
func (r *rendition) hidden() bool { return strings.HasPrefix(r.is.ID, codecVP8) }

// head is what a rendition's files begin with.
func head(f *media.Format, timescale uint32) (section []byte, codec string, err error) {
	if f.Codec == media.VP8 {
		section, err = webm.Head(f, nil)
		return section, codecVP8, err
	}
	return cmaf.Init(f, timescale)
}

// dress gives the rendition the initialisation section of a format. It reports
// whether there was none that is alike.
func (r *rendition) dress(f *media.Format, most media.Bitrate) (bool, error) {
	section, codec, err := head(f, r.is.Timescale)
	if err != nil {
		return false, err
	}
	r.format = f
	r.describe(f, codec, most)
	r.init = slices.IndexFunc(r.is.Inits, func(i media.Init) bool { return bytes.Equal(i.Data, section) })
	if r.init >= 0 {
		return false, nil
	}
	r.init = len(r.is.Inits)
	r.is.Inits = append(slices.Clip(r.is.Inits), media.Init{Codec: codec, Width: f.Width, Height: f.Height, Data: section})
	return true, nil
}

// describe takes over what a format says.
func (r *rendition) describe(f *media.Format, codec string, most media.Bitrate) {
	r.is.Codec, r.is.Width, r.is.Height, r.is.Channels = codec, f.Width, f.Height, f.Channels
	peak := media.Bitrate(peakOfSound)
	if f.Width > 0 {
		peak = max(media.Bitrate(float64(f.Width*f.Height)*30*bitsPerPixel), leastPeak)
	}
	r.is.Bandwidth = max(r.is.Bandwidth, min(peak, most))
}

// publish appends a part. A part 0 begins a segment.
func (r *rendition) publish(e *segment.Event, data []byte, extent media.Extent, kept bool) {
	s := media.Segment{MSN: e.MSN, Start: e.Start, Init: r.init, Discontinuity: e.Discontinuity, Gap: true}
	if e.Part > 0 && r.open != nil {
		s = *r.open
	} else {
		s.Behind = r.behind(e.MSN)
		r.stored, r.openLen = true, 0
	}
	if !e.Gap {
		if s.Gap { // the first with media
			s.Gap, s.Init, s.Independent = false, r.init, e.Samples[0].Key
			s.Extent = extent
			if s.Independent {
				s.Lead = r.lead(e, data)
			}
		} else {
			s.Extent.Size += extent.Size
		}
		r.stored = r.stored && kept
		r.measure(e, len(data))
	}
	s.Duration += e.Duration
	s.Parts = append(s.Parts, media.Part{Start: e.Start, Duration: e.Duration, Independent: e.Independent, Gap: e.Gap, Extent: extent, Data: data})
	r.open = &s
}

// behind tells as what a segment's first part was hinted (media.Segment.Behind).
func (r *rendition) behind(msn uint64) int {
	if n := len(r.segments); r.open == nil && n > 0 && r.segments[n-1].MSN+1 == msn {
		return len(r.segments[n-1].Parts)
	}
	return 0
}

// lead is how far the first picture reaches: the media of a part are at its end.
func (r *rendition) lead(e *segment.Event, data []byte) int64 {
	if r.hidden() {
		return 0
	}
	size := 0
	for _, s := range e.Samples {
		size += len(s.Data)
	}
	return int64(len(data) - size + len(e.Samples[0].Data))
}

func (r *rendition) measure(e *segment.Event, size int) {
	const halve = 20 // seconds of media after which older ones count half
	r.openLen += int64(size)
	r.frames, r.lasting = r.frames+len(e.Samples), r.lasting+e.Duration
	r.bytes, r.spent = r.bytes+int64(size), r.spent+e.Duration
	if r.spent > halve*media.Ticks(r.is.Timescale) {
		r.frames, r.lasting, r.bytes, r.spent = r.frames/2, r.lasting/2, r.bytes/2, r.spent/2
	}
	if r.is.Kind == media.VideoRendition && r.lasting > 0 {
		r.is.FPS = declaredRate(r.is.FPS, float64(r.frames)*float64(r.is.Timescale)/float64(r.lasting), r.is.Time(r.lasting))
	}
	r.is.Mean = declaredMean(r.is.Mean, media.Bitrate(float64(r.bytes)*8*float64(r.is.Timescale)/float64(r.spent)))
}

// close ends the open segment and lets go of what is too old: the bytes of parts
// that nobody may ask for any more, and segments out of the window.
func (r *rendition) close(e *segment.Event, memory, window time.Duration, most media.Bitrate) {
	if r.open == nil {
		return
	}
	s := *r.open
	s.Duration = e.Duration
	if !s.Gap && !r.stored {
		r.unwritten[s.MSN] = true
	}
	if t := r.is.Time(s.Duration).Seconds(); t >= 1 {
		peak := media.Bitrate(float64(r.openLen) * 8 / t * headroom)
		r.is.Bandwidth = declaredPeak(r.is.Bandwidth, peak, most)
	}
	end := s.Start + s.Duration
	kept := make([]*media.Segment, 0, len(r.segments)+1)
	for _, old := range append(r.segments[:len(r.segments):len(r.segments)], &s) {
		age := r.is.Time(end - old.Start - old.Duration)
		switch {
		case age > window:
			delete(r.unwritten, old.MSN)
			if old.Discontinuity {
				r.is.Removed++
			}
			continue
		case age > memory && old.Parts != nil:
			old = r.bare(old)
		}
		kept = append(kept, old)
	}
	r.segments, r.open = kept, nil
}

// settle notes where a part lies that was shown before it was kept.
func (r *rendition) settle(msn uint64, number int, extent media.Extent) {
	if r.open != nil && r.open.MSN == msn {
		if s := placed(r.open, number, extent); s != nil {
			r.open, r.stored = s, stored(s)
		}
		return
	}
	i := slices.IndexFunc(r.segments, func(s *media.Segment) bool { return s.MSN == msn })
	if i < 0 {
		return
	}
	s := placed(r.segments[i], number, extent)
	if s == nil {
		return
	}
	r.segments = slices.Clone(r.segments) // snapshots hold the others
	r.segments[i] = s
	if stored(s) {
		delete(r.unwritten, msn)
	}
}

// placed returns a segment in which a part lies where it lies; nil if the part has
// left memory.
func placed(old *media.Segment, number int, extent media.Extent) *media.Segment {
	if number >= len(old.Parts) {
		return nil
	}
	s := *old
	s.Parts = slices.Clone(s.Parts)
	s.Parts[number].Extent = extent
	s.Extent = media.Extent{}
	for _, p := range s.Parts {
		size := s.Extent.Size
		if size == 0 {
			s.Extent = p.Extent
		}
		s.Extent.Size = size + p.Extent.Size
	}
	return &s
}

// stored reports whether all media of a segment are kept.
func stored(s *media.Segment) bool {
	return !slices.ContainsFunc(s.Parts, func(p media.Part) bool { return !p.Gap && p.Extent.Size == 0 })
}

// bare is a segment without its parts. What was never written is a gap from now on.
func (r *rendition) bare(old *media.Segment) *media.Segment {
	s := *old
	s.Parts = nil
	if r.unwritten[s.MSN] {
		delete(r.unwritten, s.MSN)
		s.Gap, s.Extent, s.Lead, s.Independent = true, media.Extent{}, 0, false
	}
	return &s
}

// snapshot returns the rendition as readers see it.
func (r *rendition) snapshot() *media.Rendition {
	out := r.is
	out.Segments = r.segments[:len(r.segments):len(r.segments)]
	out.Open = r.open
	return &out
}

// order sorts pictures from the largest down, then sound.
func order(a, b *media.Rendition) int {
	made := func(r *media.Rendition) int {
		if isDerived(r.ID) {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(b.Width*b.Height, a.Width*a.Height), cmp.Compare(made(a), made(b)), cmp.Compare(a.ID, b.ID))
}

// name is what a rendition of pictures is called in URIs: [a-z0-9-]+.
func name(rid string, layer media.Layer) string {
	clean := strings.Map(func(c rune) rune {
		switch {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			return c
		case 'A' <= c && c <= 'Z':
			return c + 'a' - 'A'
		}
		return -1
	}, rid)
	if len(clean) > 16 {
		clean = clean[:16]
	}
	switch {
	case clean != "":
		return "video-" + clean
	case layer > 0 || rid != "":
		return "video-" + string(rune('0'+layer%10))
	}
	return "video"
}

// chunk writes a part's bytes.
func (r *rendition) chunk(e *segment.Event, start time.Time) ([]byte, error) {
	if r.hidden() {
		return r.clusters(e), nil
	}
	p := cmaf.Part{Sequence: r.sequence + 1, Decode: uint64(e.Start), Segment: r.open == nil || e.Part == 0 || r.open.Gap,
		Samples: make([]cmaf.Sample, len(e.Samples))}
	size := 256
	for i, s := range e.Samples {
		p.Samples[i] = cmaf.Sample{Data: s.Data, Duration: uint32(s.Duration), Offset: int32(s.Offset), Key: s.Key}
		size += len(s.Data) + 16
	}
	if p.Segment {
		p.Captured = start.Add(r.is.Time(e.Start))
	}
	b, err := cmaf.AppendPart(make([]byte, 0, size), &p)
	if err == nil {
		r.sequence++
	}
	return b, err
}

// clusters are a part of VP8.
func (r *rendition) clusters(e *segment.Event) []byte {
	blocks, at, size := make([]webm.Block, len(e.Samples)), e.Start, 64
	for i, s := range e.Samples {
		blocks[i] = webm.Block{Time: at + s.Offset, Key: s.Key, Data: s.Data}
		at += s.Duration
		size += len(s.Data) + 64
	}
	return webm.AppendClusters(make([]byte, 0, size), r.is.Timescale, blocks...)
}

// grow notes that pictures of VP8 have become larger: the format stays, as WebM needs
// no other, and tells the largest.
func (r *rendition) grow(f *media.Format) bool {
	if f.Width*f.Height <= r.is.Width*r.is.Height {
		return false
	}
	r.is.Width, r.is.Height = f.Width, f.Height
	return true
}
