package rules

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ErrParse is a text that is no playlist; what wraps it says where.
var ErrParse = errors.New("this is not a playlist that can be read")

// maxLines bounds what is read: two weeks of two-second segments with their tags.
const maxLines = 4 << 20

// Playlist is a Media Playlist as it was read.
type Playlist struct {
	Version, TargetDuration int
	PartTarget              float64 // seconds; 0 without EXT-X-PART-INF
	// Control is EXT-X-SERVER-CONTROL, nil without.
	Control       Attributes
	MediaSequence uint64
	// DiscontinuitySequence is of the first segment; Numbered tells that it was there.
	DiscontinuitySequence uint64
	Numbered              bool
	Type                  string
	IFrames               bool
	Independent           bool
	Ended                 bool
	Delta                 bool
	Skipped               uint64
	// Segments are those that are there, Open is what follows the last of them.
	Segments []Segment
	Open     Segment
	Hints    []Attributes
	Reports  []Attributes
	Defines  []Attributes
	// Variants and Renditions make it a Multivariant Playlist.
	Variants, IFrameVariants, Renditions []Attributes
}

// Text reports whether the segments are WebVTT files: of them nobody needs parts.
func (p *Playlist) Text() bool {
	if len(p.Segments) == 0 {
		return false
	}
	name, _, _ := strings.Cut(p.Segments[0].URI, "?")
	return strings.HasSuffix(name, ".vtt") || strings.HasSuffix(name, ".webvtt")
}

// Segment is a Media Segment, or what is there of the next one.
type Segment struct {
	MSN           uint64
	URI           string
	Duration      float64 // seconds
	Gap           bool
	Discontinuity bool
	// Number is the Discontinuity Sequence Number.
	Number uint64
	Date   time.Time // zero without EXT-X-PROGRAM-DATE-TIME of its own
	Map    string    // the URI in effect
	Range  string
	Parts  []Part
	// Late are tags that came after the first part and belong before it.
	Late []string
}

// Part is a Partial Segment.
type Part struct {
	URI              string
	Duration         float64 // seconds
	Independent, Gap bool
}

// Attributes is an attribute list, without the quotes of strings. "URI" of a
// variant is the line that follows its tag.
type Attributes map[string]string

// Float returns a number, or 0.
func (a Attributes) Float(name string) float64 {
	f, _ := strconv.ParseFloat(a[name], 64)
	return f
}

// Multivariant reports whether a playlist lists others.
func (p *Playlist) Multivariant() bool { return len(p.Variants) > 0 || len(p.Renditions) > 0 }

// Parse reads a playlist.
func Parse(text string) (*Playlist, error) {
	s := scanner{p: &Playlist{Version: 1}}
	n := 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if n++; n > maxLines {
			return nil, fmt.Errorf("%w: more than %d lines", ErrParse, maxLines)
		}
		if n == 1 && line != "#EXTM3U" {
			return nil, fmt.Errorf("%w: the first line is not #EXTM3U", ErrParse)
		}
		if err := s.line(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if n == 0 {
		return nil, fmt.Errorf("%w: it is empty", ErrParse)
	}
	s.finish()
	return s.p, nil
}

type scanner struct {
	p      *Playlist
	now    Segment
	mapURI string
	stream Attributes // EXT-X-STREAM-INF whose URI follows
}

func (s *scanner) line(line string) error {
	switch {
	case line == "" || strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "#EXT"):
		return nil
	case strings.HasPrefix(line, "#"):
		tag, value, _ := strings.Cut(line, ":")
		return s.tag(tag, value)
	case s.stream != nil:
		s.stream["URI"] = line
		s.p.Variants = append(s.p.Variants, s.stream)
		s.stream = nil
		return nil
	}
	s.now.URI = line
	s.now.Map = s.mapURI
	s.p.Segments = append(s.p.Segments, s.now)
	s.now = Segment{}
	return nil
}

func (s *scanner) tag(tag, value string) (err error) {
	p := s.p
	switch tag {
	case "#EXT-X-VERSION":
		p.Version, err = whole(value)
	case "#EXT-X-TARGETDURATION":
		p.TargetDuration, err = whole(value)
	case "#EXT-X-MEDIA-SEQUENCE":
		p.MediaSequence, err = number(value)
	case "#EXT-X-DISCONTINUITY-SEQUENCE":
		p.Numbered = true
		p.DiscontinuitySequence, err = number(value)
	case "#EXT-X-PLAYLIST-TYPE":
		p.Type = value
	case "#EXT-X-I-FRAMES-ONLY":
		p.IFrames = true
	case "#EXT-X-INDEPENDENT-SEGMENTS":
		p.Independent = true
	case "#EXT-X-ENDLIST":
		p.Ended = true
	case "#EXTINF":
		seconds, _, _ := strings.Cut(value, ",")
		s.now.Duration, err = decimal(seconds)
	case "#EXT-X-GAP":
		s.now.Gap = true
	case "#EXT-X-BYTERANGE":
		s.now.Range = value
	case "#EXT-X-DISCONTINUITY":
		s.now.Discontinuity = true
		s.late(tag)
	case "#EXT-X-PROGRAM-DATE-TIME":
		s.late(tag)
		s.now.Date, err = date(value)
	default:
		return s.list(tag, value)
	}
	return err
}

// list reads tags with attribute lists; unknown tags are nobody's business.
func (s *scanner) list(tag, value string) error {
	p := s.p
	switch tag {
	case "#EXT-X-SERVER-CONTROL", "#EXT-X-PART-INF", "#EXT-X-SKIP", "#EXT-X-PART", "#EXT-X-MAP", "#EXT-X-PRELOAD-HINT",
		"#EXT-X-RENDITION-REPORT", "#EXT-X-DEFINE", "#EXT-X-STREAM-INF", "#EXT-X-I-FRAME-STREAM-INF", "#EXT-X-MEDIA":
	default:
		return nil
	}
	a, err := attributes(value)
	if err != nil {
		return fmt.Errorf("%s: %w", tag, err)
	}
	switch tag {
	case "#EXT-X-SERVER-CONTROL":
		p.Control = a
	case "#EXT-X-PART-INF":
		p.PartTarget = a.Float("PART-TARGET")
	case "#EXT-X-SKIP":
		p.Delta = true
		p.Skipped, err = number(a["SKIPPED-SEGMENTS"])
	case "#EXT-X-PART":
		var d float64
		d, err = decimal(a["DURATION"])
		s.now.Parts = append(s.now.Parts, Part{a["URI"], d, a["INDEPENDENT"] == "YES", a["GAP"] == "YES"})
	case "#EXT-X-MAP":
		s.late(tag)
		s.mapURI = a["URI"]
	case "#EXT-X-PRELOAD-HINT":
		p.Hints = append(p.Hints, a)
	case "#EXT-X-RENDITION-REPORT":
		p.Reports = append(p.Reports, a)
	case "#EXT-X-DEFINE":
		p.Defines = append(p.Defines, a)
	case "#EXT-X-STREAM-INF":
		s.stream = a
	case "#EXT-X-I-FRAME-STREAM-INF":
		p.IFrameVariants = append(p.IFrameVariants, a)
	case "#EXT-X-MEDIA":
		p.Renditions = append(p.Renditions, a)
	}
	return err
}

func (s *scanner) late(tag string) {
	if len(s.now.Parts) > 0 {
		s.now.Late = append(s.now.Late, tag)
	}
}

// finish numbers the segments.
func (s *scanner) finish() {
	p := s.p
	p.Open = s.now
	p.Open.Map = s.mapURI
	msn, jumps := p.MediaSequence+p.Skipped, p.DiscontinuitySequence
	for i := range p.Segments {
		if p.Segments[i].Discontinuity {
			jumps++
		}
		p.Segments[i].MSN, p.Segments[i].Number = msn, jumps
		msn++
	}
	if p.Open.Discontinuity {
		jumps++
	}
	p.Open.MSN, p.Open.Number = msn, jumps
}

func whole(s string) (int, error) {
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0, fmt.Errorf("%w: %.40q is not a whole number", ErrParse, s)
	}
	return int(n), nil
}

func number(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %.40q is not a whole number", ErrParse, s)
	}
	return n, nil
}

func decimal(s string) (float64, error) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f < 0 || f > 1e9 {
		return 0, fmt.Errorf("%w: %.40q is not a duration", ErrParse, s)
	}
	return f, nil
}

func date(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%w: %.40q is not a date", ErrParse, s)
}

// attributes reads an attribute list (section 4.2).
func attributes(s string) (Attributes, error) {
	a := make(Attributes)
	for s != "" {
		name, rest, ok := strings.Cut(s, "=")
		name = strings.TrimSpace(name)
		if !ok || name == "" {
			return a, fmt.Errorf("%w: an attribute without a value", ErrParse)
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			if value, rest, ok = strings.Cut(rest[1:], `"`); !ok {
				return a, fmt.Errorf("%w: a quoted string without an end", ErrParse)
			}
			rest = strings.TrimPrefix(rest, ",")
		} else {
			value, rest, _ = strings.Cut(rest, ",")
		}
		if _, twice := a[name]; twice {
			return a, fmt.Errorf("%w: %s comes twice", ErrParse, name)
		}
		a[name], s = value, rest
	}
	return a, nil
}
