package cache

import (
	"strconv"
	"strings"
)

// PlaceHeader tells how far a Media Playlist of a live stream reaches: the number of
// the segment and of the part in it that come next, "893427123.3".
const PlaceHeader = "Sluice-Next"

// Place is how far a playlist reaches: the part that comes next. The zero Place is
// before all others.
type Place struct {
	MSN  uint64
	Part uint64
}

// ParsePlace reads a PlaceHeader; what cannot be read is the zero Place.
func ParsePlace(s string) Place {
	msn, part, ok := strings.Cut(s, ".")
	n, err1 := strconv.ParseUint(msn, 10, 64)
	k, err2 := strconv.ParseUint(part, 10, 32)
	if !ok || err1 != nil || err2 != nil {
		return Place{}
	}
	return Place{n, k}
}

// String writes a PlaceHeader.
func (p Place) String() string {
	return strconv.FormatUint(p.MSN, 10) + "." + strconv.FormatUint(p.Part, 10)
}

// Before reports whether a playlist that reaches to p is older than one that reaches
// to o.
func (p Place) Before(o Place) bool { return p.MSN < o.MSN || p.MSN == o.MSN && p.Part < o.Part }

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
