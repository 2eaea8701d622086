package webvtt

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

// timestampMap is the header that HLS wants (RFC 8216bis section 3.1.4): cue times
// are media times. Its one tick, 11 µs, is nothing to see; with 0 hls.js 1.7.4 takes
// the times for ones since the first file that it reads, when media begins at 0.
const timestampMap = "X-TIMESTAMP-MAP=MPEGTS:1,LOCAL:00:00:00.000\n"

// Append writes a file; mapped with the header of HLS.
func Append(dst []byte, f *File, mapped bool) []byte {
	dst = append(dst, "WEBVTT\n"...)
	if mapped {
		dst = append(dst, timestampMap...)
	}
	for _, block := range f.Styles {
		dst = append(append(append(dst, '\n'), block...), '\n')
	}
	for i := range f.Cues {
		dst = appendCue(append(dst, '\n'), &f.Cues[i])
	}
	return dst
}

func appendCue(b []byte, c *Cue) []byte {
	if c.ID != "" {
		b = append(append(b, c.ID...), '\n')
	}
	b = appendClock(b, c.Start)
	b = append(append(append(b, ' '), arrow...), ' ')
	b = appendClock(b, c.End)
	if c.Settings != "" {
		b = append(append(b, ' '), c.Settings...)
	}
	b = append(b, '\n')
	return append(append(b, c.Text...), '\n')
}

func appendClock(b []byte, d time.Duration) []byte {
	ms := max(d, 0).Milliseconds()
	two := func(n int64, then byte) {
		if n < 10 {
			b = append(b, '0')
		}
		b = append(strconv.AppendInt(b, n, 10), then)
	}
	two(ms/3_600_000, ':')
	two(ms/60_000%60, ':')
	two(ms/1000%60, '.')
	milli := ms % 1000
	return append(b, byte('0'+milli/100), byte('0'+milli/10%10), byte('0'+milli%10))
}

// Shift moves all cues by d, in the order of their beginning. What would end at 0 or
// before is left out, what would begin before 0 begins there.
func (f *File) Shift(d time.Duration) *File {
	out := &File{Styles: f.Styles}
	for _, c := range f.Cues {
		c.Start, c.End = max(c.Start+d, 0), c.End+d
		if c.End.Milliseconds() > c.Start.Milliseconds() {
			out.Cues = append(out.Cues, c)
		}
	}
	slices.SortStableFunc(out.Cues, func(a, b Cue) int { return int((a.Start - b.Start).Milliseconds()) })
	return out
}

// Cut takes what is shown between two times, and nothing of it outside.
func (f *File) Cut(from, to time.Duration) *File {
	out := &File{Styles: f.Styles}
	for _, c := range f.Cues {
		c.Start, c.End = max(c.Start, from), min(c.End, to)
		if c.End.Milliseconds() > c.Start.Milliseconds() {
			out.Cues = append(out.Cues, c)
		}
	}
	return out
}

// escapes are characters that cue text gives a meaning to (section 4.2.2).
var escapes = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r\n", "\n", "\r", "\n")

// Escape makes cue text of plain text: no markup, no empty lines.
func Escape(plain string) string {
	lines := strings.Split(escapes.Replace(plain), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.TrimSpace(line) == "" })
	return strings.Join(lines, "\n")
}
