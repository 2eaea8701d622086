package cache

import (
	"strconv"
	"strings"
)

// PlaceHeader tells how far a Media Playlist of a live stream reaches: the number of
// the segment and of the part in it that come next, and, of pictures, the tags of that
// segment and of the one before, "893427123.3;9a3b00c1,5f".
const PlaceHeader = "Sluice-Next"

// Place is how far a playlist reaches: the part that comes next. The zero Place is
// before all others.
type Place struct {
	MSN  uint64
	Part uint64
	// Tag and Before are digests of how the segment and the one before begin; 0 is
	// unknown. Pictures of segments with unlike tags do not go together.
	Tag, Before uint32
}

// ParsePlace reads a PlaceHeader; what cannot be read is the zero Place.
func ParsePlace(s string) Place {
	s, tags, _ := strings.Cut(s, ";")
	tag, before, _ := strings.Cut(tags, ",")
	msn, part, ok := strings.Cut(s, ".")
	n, err1 := strconv.ParseUint(msn, 10, 64)
	k, err2 := strconv.ParseUint(part, 10, 32)
	if !ok || err1 != nil || err2 != nil {
		return Place{}
	}
	return Place{n, k, parseTag(tag), parseTag(before)}
}

func parseTag(s string) uint32 {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// String writes a PlaceHeader.
func (p Place) String() string {
	s := strconv.FormatUint(p.MSN, 10) + "." + strconv.FormatUint(p.Part, 10)
	if p.Tag != 0 || p.Before != 0 {
		s += ";" + strconv.FormatUint(uint64(p.Tag), 16) + "," + strconv.FormatUint(uint64(p.Before), 16)
	}
	return s
}

// Breaks returns the segment of which some parts were served from a playlist that
// reached to p, and whose other parts, by one that reaches to o, come from another
// encoder; false: there is none.
func (p Place) Breaks(o Place) (msn uint64, ok bool) {
	unlike := func(a, b uint32) bool { return a != 0 && b != 0 && a != b }
	switch {
	case p.Part == 0: // it ended with a whole segment
	case o.MSN == p.MSN:
		return p.MSN, unlike(p.Tag, o.Tag)
	case o.MSN == p.MSN+1:
		return p.MSN, unlike(p.Tag, o.Before)
	}
	return 0, false
}

// WithoutParts is a Media Playlist in which a segment has no parts: it is there when it
// is whole.
func WithoutParts(text string, msn uint64) string {
	name := `URI="` + strconv.FormatUint(msn, 10) + "."
	var out strings.Builder
	for line := range strings.Lines(text) {
		if (strings.HasPrefix(line, "#EXT-X-PART:") || strings.HasPrefix(line, "#EXT-X-PRELOAD-HINT:TYPE=PART")) && strings.Contains(line, name) {
			continue
		}
		out.WriteString(line)
	}
	return out.String()
}

// IsBefore reports whether a playlist that reaches to p is older than one that reaches
// to o.
func (p Place) IsBefore(o Place) bool { return p.MSN < o.MSN || p.MSN == o.MSN && p.Part < o.Part }

// Reaching is the target whose answer waits until it reaches to p (RFC 8216bis
// section 6.2.5.2).
func (t Target) Reaching(p Place) Target {
	var rest []string
	for pair := range strings.SplitSeq(t.Query, "&") {
		if pair != "" && !strings.HasPrefix(pair, "_HLS_msn=") && !strings.HasPrefix(pair, "_HLS_part=") {
			rest = append(rest, pair)
		}
	}
	var want []string
	switch {
	case p.Part > 0:
		want = []string{"_HLS_msn=" + strconv.FormatUint(p.MSN, 10), "_HLS_part=" + strconv.FormatUint(p.Part-1, 10)}
	case p.MSN > 0:
		want = []string{"_HLS_msn=" + strconv.FormatUint(p.MSN-1, 10)} // all of it
	}
	t.Query = strings.Join(append(want, rest...), "&")
	return t
}

// Placed reports whether answers tell how far they reach.
func (t Target) Placed() bool { return t.Live && strings.HasSuffix(t.Path, "/media.m3u8") }
