package playlist

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
)

// ErrQuery is a query that cannot be served; what wraps it says why.
var ErrQuery = errors.New("the query cannot be served")

// maxQuery is the longest query that is read, in bytes: a token with a long list
// of patterns, and the directives.
const maxQuery = 8 << 10

// Directives are what a client asks of a Media Playlist (section 6.2.5).
type Directives struct {
	HasMSN, HasPart, Skip bool
	MSN                   uint64
	Part                  int
}

// Query is what is read of a playlist's query.
type Query struct {
	Directives
	DVR, Legacy bool
	// Start and End limit to what was captured in between (UTC); zero is no limit.
	Start, End time.Time
	// Token is "token", as it came; Unfilled tells that it is what stands in playlists in
	// its place: by a player that does not know EXT-X-DEFINE (FFmpeg).
	Token    string
	Unfilled bool
}

// place is where a player puts the token that it came with (section 4.3).
const place = "{$token}"

// ParseQuery reads the raw query of a playlist. Parameters that are not known
// are left to others (_HLS_ names are reserved, and new ones come); one that is
// known comes once.
func ParseQuery(raw string) (Query, error) {
	var q Query
	if len(raw) > maxQuery {
		return q, fmt.Errorf("%w: it has %d bytes, at most %d are read", ErrQuery, len(raw), maxQuery)
	}
	seen := 0
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		name, value, _ := strings.Cut(pair, "=")
		at := indexOf(name)
		if at < 0 {
			continue
		}
		if seen&(1<<at) != 0 {
			return q, fmt.Errorf("%w: %s comes twice", ErrQuery, known[at])
		}
		seen |= 1 << at
		if strings.ContainsAny(value, "%+") {
			var err error
			if value, err = url.QueryUnescape(value); err != nil {
				return q, fmt.Errorf("%w: %s is not well escaped", ErrQuery, known[at])
			}
		}
		if err := q.set(known[at], value); err != nil {
			return q, err
		}
	}
	if !q.End.IsZero() && !q.End.After(q.Start) {
		return q, fmt.Errorf("%w: end is not after start", ErrQuery)
	}
	if !q.End.IsZero() && q.Start.IsZero() {
		return q, fmt.Errorf("%w: end without start", ErrQuery)
	}
	return q, nil
}

// known are the parameters that have a meaning here.
var known = [...]string{"_HLS_msn", "_HLS_part", "_HLS_skip", "dvr", "end", "profile", "start", "token"}

func indexOf(name string) int {
	for i, k := range known {
		if k == name {
			return i
		}
	}
	return -1
}

func (q *Query) set(name, value string) (err error) {
	switch name {
	case "_HLS_msn":
		q.HasMSN = true
		if q.MSN, err = strconv.ParseUint(value, 10, 64); err != nil {
			return fmt.Errorf("%w: _HLS_msn is not a decimal number of at most 64 bits", ErrQuery)
		}
	case "_HLS_part":
		q.HasPart = true
		n, err := strconv.ParseUint(value, 10, 31)
		if err != nil {
			return fmt.Errorf("%w: _HLS_part is not a decimal number", ErrQuery)
		}
		q.Part = int(n)
	case "_HLS_skip":
		q.Skip = value == "YES" || value == "v2"
	case "dvr":
		q.DVR = value == "1"
	case "profile":
		q.Legacy = value == "legacy"
		if !q.Legacy && value != "" {
			return fmt.Errorf("%w: the profile is not known; there is legacy", ErrQuery)
		}
	case "start":
		q.Start, err = moment(value)
	case "end":
		q.End, err = moment(value)
	case "token":
		if q.Unfilled = value == place; !q.Unfilled {
			q.Token = value
		}
	}
	return err
}

// moment reads RFC 3339 or seconds since 1970.
func moment(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UTC(), nil
	}
	f, err := strconv.ParseFloat(s, 64)
	const year9999 = 253402300800
	if err != nil || math.IsNaN(f) || f < 0 || f >= year9999 {
		return time.Time{}, fmt.Errorf("%w: start and end are RFC 3339 dates or seconds since 1970", ErrQuery)
	}
	return time.UnixMilli(int64(math.Round(f * 1000))).UTC(), nil
}

// maxShift is the longest span of one time-shifted playlist.
const maxShift = 24 * time.Hour

// View chooses the rendering that a query asks for of a presentation. window is
// how far a live playlist reaches back when nothing else is asked.
func (q Query) View(p *media.Presentation, window time.Duration) (View, error) {
	v := View{Window: window, Skip: q.Skip, Token: q.Token != "", Query: q.Canonical()}
	if q.DVR || q.Legacy {
		v.Window = 0
	}
	if q.Legacy {
		v.Form, v.Skip = Legacy, false
	}
	if q.Start.IsZero() {
		return v, nil
	}
	v.Shift = true
	v.From = max(q.Start.Sub(p.Start), 0)
	if !q.End.IsZero() {
		v.To = q.End.Sub(p.Start)
		if v.To <= 0 {
			return v, fmt.Errorf("%w: end is before the stream began", ErrQuery)
		}
		if v.To-v.From > maxShift {
			return v, fmt.Errorf("%w: more than %v are asked for at once", ErrQuery, maxShift)
		}
	}
	return v, nil
}

// Canonical is the part of the query that child playlists are asked with too, in
// one spelling: equal wishes have equal URIs, and are cached once.
func (q Query) Canonical() string {
	b := make([]byte, 0, 64)
	add := func(name string) {
		if len(b) > 0 {
			b = append(b, '&')
		}
		b = append(append(b, name...), '=')
	}
	if q.DVR {
		add("dvr")
		b = append(b, '1')
	}
	if !q.End.IsZero() {
		add("end")
		b = q.End.AppendFormat(b, dateFormat)
	}
	if q.Legacy {
		add("profile")
		b = append(b, "legacy"...)
	}
	if !q.Start.IsZero() {
		add("start")
		b = q.Start.AppendFormat(b, dateFormat)
	}
	return string(b)
}
