package media

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"time"
)

// Presentation is what has been packaged of one incarnation of a stream, or of an
// asset: an immutable snapshot. Whoever holds one may read it for ever.
//
// Media time counts from Start, in every rendition alike: what has the same time
// was captured at the same moment, and Start plus the time is when (in UTC).
type Presentation struct {
	Stream StreamID
	// Incarnation names this run of numbers; it is part of every URI, so that what a
	// cache holds of an earlier run is never taken for this one. For an asset it is
	// the asset's identifier.
	Incarnation string
	// Recording names what is kept of it on this node, the asset: the incarnation,
	// unless several recorders make that one together. Empty: nothing is known of it.
	Recording string
	// Version rises with each snapshot of an incarnation.
	Version uint64
	Start   time.Time
	// TargetDuration is EXT-X-TARGETDURATION, whole seconds; PartTarget is
	// PART-TARGET. Neither changes as long as the incarnation lives (RFC 8216bis
	// section 6.2.1).
	TargetDuration time.Duration
	PartTarget     time.Duration
	// Renditions in a stable order, pictures from the largest down, then sound; a
	// rendition that ceases to flow stays and has gaps.
	Renditions []*Rendition
	// Ended tells that nothing follows.
	Ended bool
}

// FirstSegment is the number of a presentation's first segment. It is not 0: hls.js (1.7,
// fragment-tracker.ts, detectEvictedFragments) takes the number 0 for none, forgets which
// parts of that segment it has, and loads them over and over until another one is due.
const FirstSegment = 1

// Rendition returns the rendition of that name, or nil.
func (p *Presentation) Rendition(id string) *Rendition {
	for _, r := range p.Renditions {
		if r.ID == id {
			return r
		}
	}
	return nil
}

// At returns when (UTC) what has the media time t, in ticks of the rendition, was
// captured.
func (p *Presentation) At(r *Rendition, t Ticks) time.Time { return p.Start.Add(r.Time(t)) }

// Shared reports whether other recorders make the same incarnation: numbers and times
// are those of the clock.
func (p *Presentation) Shared() bool { return p.Recording != "" && p.Recording != p.Incarnation }

// InitName is what an initialisation section is called in URIs: its number; in what is
// shared, where each recorder counts for itself, a digest of its bytes.
func (p *Presentation) InitName(r *Rendition, index int) string {
	if !p.Shared() {
		return strconv.Itoa(index)
	}
	h := fnv.New64a()
	_, _ = h.Write(r.Inits[index].Data) // never fails
	return fmt.Sprintf("%016x", h.Sum64())
}

// Init returns the initialisation section of that name; false: there is none.
func (p *Presentation) Init(r *Rendition, name string) (Init, bool) {
	for i := range r.Inits {
		if p.InitName(r, i) == name {
			return r.Inits[i], true
		}
	}
	return Init{}, false
}

// RenditionKind is what a rendition is of.
type RenditionKind uint8

// What renditions are of.
const (
	VideoRendition RenditionKind = iota + 1
	AudioRendition
	SubtitleRendition
)

// Rendition is one encoding of one track, packaged: a Media Playlist, an
// Adaptation Set's Representation.
type Rendition struct {
	ID   string // a path element: [a-z0-9-]+ , e.g. "video-h", "audio", "audio-aac"
	Kind RenditionKind
	// Codec is the codecs parameter (RFC 6381), e.g. "avc1.42c01f", "opus".
	Codec string
	// Timescale is in ticks per second: 90000 for video, 48000 for audio.
	Timescale uint32
	Width     int // pixels
	Height    int // pixels
	FPS       float64
	// Bandwidth is the peak that is declared, Mean what was measured; bit/s.
	Bandwidth, Mean Bitrate
	Channels        int
	Language        string // RFC 5646; empty when unknown
	Name            string // for people
	Default         bool
	// Closed are the captions that were seen in its pictures.
	Closed Closed `json:",omitempty"`
	// OnDemand tells that the rendition is made only while somebody wants it: until
	// then it has no segments.
	OnDemand bool
	// Left tells that nobody publishes the rendition any more: the publisher came back
	// without it, and from there on it is a gap. Who watches live is not to choose it.
	Left bool
	// Protection tells of the key; nil of what is not encrypted.
	Protection *Protection `json:",omitempty"`

	// Inits are the initialisation sections; Segment.Init is an index.
	Inits []Init
	// Segments are the finished ones that are kept, the oldest first, numbered
	// without a hole: Segments[i].MSN == Segments[0].MSN + i.
	Segments []*Segment
	// Open is the segment that is being made, with the parts that are ready: nil when
	// nothing follows. Its MSN is one above the last of Segments.
	Open *Segment
	// Removed counts the discontinuities that were dropped from the front
	// (EXT-X-DISCONTINUITY-SEQUENCE of the first segment).
	Removed uint64
}

// Time turns media time in ticks into a duration since the presentation's start.
func (r *Rendition) Time(t Ticks) time.Duration {
	scale := Ticks(r.Timescale)
	return time.Duration(t/scale)*time.Second + time.Duration(t%scale)*time.Second/time.Duration(scale)
}

// Next returns the number and the part that will be published next.
func (r *Rendition) Next() (msn uint64, part int) {
	if r.Open != nil {
		return r.Open.MSN, len(r.Open.Parts)
	}
	if n := len(r.Segments); n > 0 {
		return r.Segments[n-1].MSN + 1, 0
	}
	return FirstSegment, 0
}

// Init is an initialisation section (EXT-X-MAP).
type Init struct {
	Codec         string
	Width, Height int
	Data          []byte
}

// Segment is a Media Segment: a run of parts, which are its bytes.
type Segment struct {
	MSN      uint64
	Start    Ticks // media time of its first sample
	Duration Ticks // of a finished one
	Init     int   // index in Rendition.Inits
	// Discontinuity tells that EXT-X-DISCONTINUITY stands before it, Gap that there
	// is no media in it (EXT-X-GAP): then it has no bytes.
	Discontinuity bool
	Gap           bool
	// Independent tells that it begins with a key frame.
	Independent bool
	// Extent is where its bytes are.
	Extent Extent
	// Lead is how many of its bytes reach to the end of its first picture, of an
	// independent one: what an I-frame playlist names. 0 is unknown.
	Lead int64
	// Behind is how many parts the segment before it had when its first part was
	// hinted, as one more of those: Presentation.PartName. 0: it was not.
	Behind int `json:",omitempty"`
	// Parts are kept while they are in a playlist or may still be asked for.
	Parts []Part
}

// Part is a Partial Segment: one CMAF chunk.
type Part struct {
	Start    Ticks
	Duration Ticks
	// Independent tells that it begins with a key frame.
	Independent bool
	Gap         bool
	Extent      Extent
	// Data is the part, as long as it is kept in memory.
	Data []byte
}

// Extent is a run of bytes of a rendition in the files of an incarnation.
type Extent struct {
	Volume uint32 // number of the file; files are written one after the other
	Offset int64
	// Size is -1 of a segment that is made when it is asked for: its reader ends when
	// it does.
	Size int64
}
