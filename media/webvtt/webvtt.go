// Package webvtt reads and writes WebVTT files (W3C WebVTT: The Web Video Text
// Tracks Format). It promises that what it reads is written so that every reader
// finds the same cues, and that what is no WebVTT is refused with its line. A kernel
// without state; any goroutine may call.
package webvtt

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Type is the media type of a file.
const Type = "text/vtt; charset=utf-8"

// MaxCues bounds the cues of a file: eight hours with one every second.
const MaxCues = 30_000

// ErrSyntax is wrapped by what Parse returns; the text says where and what.
var ErrSyntax = errors.New("it is not valid WebVTT")

// File is what a file tells: comments and what readers leave out are not kept.
type File struct {
	// Styles are STYLE and REGION blocks as they came.
	Styles []string
	Cues   []Cue
}

// Cue is a text for a stretch of time.
type Cue struct {
	ID         string
	Start, End time.Duration
	// Settings are written behind the times: "line:0 align:start".
	Settings string
	// Text is cue text, with its markup; lines are separated by \n and none is empty.
	Text string
}

// arrow stands between the times of a cue, and nowhere else (section 4.1).
const arrow = "-->"

// Parse reads a file. Unlike players, which skip what they do not understand, it
// refuses it: who sends the file can still mend it.
func Parse(b []byte) (*File, error) {
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("%w: it is not UTF-8", ErrSyntax)
	}
	text := strings.TrimPrefix(string(b), "\ufeff")
	if strings.ContainsRune(text, 0) {
		return nil, fmt.Errorf("%w: there is a NUL in it", ErrSyntax)
	}
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	r := reader{lines: strings.Split(text, "\n")}
	first := r.lines[0]
	if rest, ok := strings.CutPrefix(first, "WEBVTT"); !ok || rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return nil, fmt.Errorf("%w: line 1 has to be WEBVTT", ErrSyntax)
	}
	for r.at = 1; r.at < len(r.lines) && r.lines[r.at] != "" && !strings.Contains(r.lines[r.at], arrow); r.at++ {
		// What stands right below WEBVTT is a header: nobody needs it here.
	}
	f := &File{}
	for {
		block, at := r.block()
		if block == nil {
			return f, nil
		}
		if err := f.add(block, at); err != nil {
			return nil, err
		}
	}
}

// reader walks through lines.
type reader struct {
	lines []string
	at    int
}

// block returns the next lines up to an empty one, and the number of the first.
func (r *reader) block() (lines []string, number int) {
	for r.at < len(r.lines) && r.lines[r.at] == "" {
		r.at++
	}
	from := r.at
	for r.at < len(r.lines) && r.lines[r.at] != "" {
		r.at++
	}
	if from == r.at {
		return nil, 0
	}
	return r.lines[from:r.at], from + 1
}

// add takes a block.
func (f *File) add(block []string, at int) error {
	switch word, _, _ := strings.Cut(strings.ReplaceAll(block[0], "\t", " "), " "); {
	case strings.Contains(block[0], arrow):
		return f.cue("", block, at)
	case len(block) > 1 && strings.Contains(block[1], arrow):
		return f.cue(block[0], block[1:], at+1)
	case word == "NOTE":
		return nil
	case word == "STYLE" || word == "REGION":
		if len(f.Cues) > 0 {
			return fmt.Errorf("%w: line %d: %s stands before all cues", ErrSyntax, at, word)
		}
		for i, line := range block {
			if strings.Contains(line, arrow) {
				return fmt.Errorf("%w: line %d: %s in a block of %s", ErrSyntax, at+i, arrow, word)
			}
		}
		f.Styles = append(f.Styles, strings.Join(block, "\n"))
		return nil
	}
	return fmt.Errorf("%w: line %d: neither a comment nor times follow", ErrSyntax, at)
}

func (f *File) cue(id string, block []string, at int) error {
	if len(f.Cues) >= MaxCues {
		return fmt.Errorf("%w: line %d: there are more than %d cues", ErrSyntax, at, MaxCues)
	}
	c := Cue{ID: id}
	from, rest, _ := strings.Cut(block[0], arrow)
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return fmt.Errorf("%w: line %d: there is no end time", ErrSyntax, at)
	}
	var ok, also bool
	c.Start, ok = clock(strings.TrimSpace(from))
	c.End, also = clock(fields[0])
	if !ok || !also {
		return fmt.Errorf("%w: line %d: times are written 00:00:00.000", ErrSyntax, at)
	}
	if c.End <= c.Start {
		return fmt.Errorf("%w: line %d: the cue does not end after its beginning", ErrSyntax, at)
	}
	c.Settings = strings.Join(fields[1:], " ")
	for i, line := range block[1:] {
		if strings.Contains(line, arrow) {
			return fmt.Errorf("%w: line %d: an empty line is missing before this cue", ErrSyntax, at+1+i)
		}
	}
	if strings.Contains(c.Settings, arrow) {
		return fmt.Errorf("%w: line %d: %s comes twice", ErrSyntax, at, arrow)
	}
	if c.Text = strings.Join(block[1:], "\n"); c.Text != "" {
		f.Cues = append(f.Cues, c)
	}
	return nil
}

// clock reads [hh:]mm:ss.ttt (section 4.3).
func clock(s string) (time.Duration, bool) {
	whole, milli, ok := strings.Cut(s, ".")
	parts := strings.Split(whole, ":")
	if !ok || len(milli) != 3 || len(parts) < 2 || len(parts) > 3 {
		return 0, false
	}
	seconds := 0
	for i, part := range parts {
		n, ok := number(part)
		hours := len(parts) == 3 && i == 0
		if !ok || !hours && (len(part) != 2 || n > 59) || hours && (len(part) < 2 || len(part) > 6) {
			return 0, false
		}
		seconds = seconds*60 + n
	}
	ms, ok := number(milli)
	return time.Duration(seconds)*time.Second + time.Duration(ms)*time.Millisecond, ok
}

func number(s string) (n int, ok bool) {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, s != ""
}
