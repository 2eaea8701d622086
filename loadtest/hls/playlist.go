package hls

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// edge is the end of a Media Playlist.
type edge struct {
	msn, part uint64    // what comes next
	hint      string    // the URI of that part
	last      string    // the line of the last part that is listed
	end       time.Time // when the last part that is listed ends; zero without dates
	target    time.Duration
}

// lists reports whether the newest part in the playlist is what before hinted.
func (e edge) lists(before edge) bool { return attribute(e.last, "URI") == before.hint }

var errNoHint = errors.New("the playlist hints no part: it is no low-latency one, or has ended")

// parse reads the end of a playlist: the segment that is being made counts its parts
// from the last segment's URI on.
func parse(text []byte) (edge, error) {
	var e edge
	var at, began string // when the segment begins that is read, and that of the last part
	var open, reached time.Duration
	for line := range strings.Lines(string(text)) {
		l := strings.TrimRight(line, "\r\n")
		switch {
		case l == "":
		case l[0] != '#':
			e.msn++
			e.part, open, at = 0, 0, ""
		case strings.HasPrefix(l, "#EXT-X-MEDIA-SEQUENCE:"):
			e.msn, _ = strconv.ParseUint(l[len("#EXT-X-MEDIA-SEQUENCE:"):], 10, 62)
		case strings.HasPrefix(l, "#EXT-X-SKIP:"):
			n, _ := strconv.ParseUint(attribute(l, "SKIPPED-SEGMENTS"), 10, 62)
			e.msn += n
		case strings.HasPrefix(l, "#EXT-X-PART-INF:"):
			e.target = seconds(attribute(l, "PART-TARGET"))
		case strings.HasPrefix(l, "#EXT-X-PROGRAM-DATE-TIME:"):
			at = l[len("#EXT-X-PROGRAM-DATE-TIME:"):]
		case strings.HasPrefix(l, "#EXT-X-PART:"):
			e.part++
			open += seconds(attribute(l, "DURATION"))
			began, reached, e.last = at, open, l
		case strings.HasPrefix(l, "#EXT-X-PRELOAD-HINT:") && attribute(l, "TYPE") == "PART":
			e.hint = attribute(l, "URI")
		}
	}
	if t, err := time.Parse(time.RFC3339Nano, began); err == nil {
		e.end = t.Add(reached)
	}
	if e.hint == "" || e.target <= 0 {
		return e, errNoHint
	}
	return e, nil
}

// attribute returns a value of an attribute list, without quotes.
func attribute(line, name string) string {
	_, list, _ := strings.Cut(line, ":")
	for list != "" {
		key, rest, ok := strings.Cut(list, "=")
		if !ok {
			return ""
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			value, rest, _ = strings.Cut(rest[1:], `"`)
			_, rest, _ = strings.Cut(rest, ",")
		} else {
			value, rest, _ = strings.Cut(rest, ",")
		}
		if key == name {
			return value
		}
		list = rest
	}
	return ""
}

func seconds(text string) time.Duration {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f < 0 || f > 3600 {
		return 0
	}
	return time.Duration(f * float64(time.Second))
}

// entry is what a Multivariant Playlist offers: the first picture and the first sound.
func entry(text []byte) (picture, sound string) {
	variant := false
	for line := range strings.Lines(string(text)) {
		l := strings.TrimRight(line, "\r\n")
		switch {
		case l == "":
		case strings.HasPrefix(l, "#EXT-X-STREAM-INF:"):
			variant = true
		case strings.HasPrefix(l, "#EXT-X-MEDIA:") && attribute(l, "TYPE") == "AUDIO" && sound == "":
			sound = attribute(l, "URI")
		case l[0] != '#' && variant && picture == "":
			picture = l
		}
	}
	return picture, sound
}
