package hlsfallback

import (
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/media"
)

// file is what a path names.
type file uint8

const (
	noFile       file = iota
	multivariant      // index.m3u8
	manifest          // manifest.mpd
	clock             // time.txt
	licence           // licence, by POST
	mediaList         // media.m3u8
	iframeList        // iframes.m3u8
	initSection       // init-{name}.mp4
	segment           // {msn}.m4s
	joined            // {first}-{last}.m4s
	part              // {msn}.{part}.m4s
	text              // from-{ms}.vtt
	files
)

// licenceName is where licences are had, beneath the name of a stream or asset.
const licenceName = "licence"

// fileNames are the files in metrics.
var fileNames = [files]string{"none", "multivariant", "mpd", "time", "licence", "playlist", "iframes", "init", "segment", "joined", "part", "text"}

// route is a path that was understood. No part of it ever names a file on disk:
// names are looked up among what is there, and numbers are numbers.
type route struct {
	videos                       bool
	name, incarnation, rendition string
	file                         file
	vtt                          bool   // it is a WebVTT file; that of a segment too
	first, last                  uint64 // msn; of a joined segment the last one; of text media time, ms
	part                         int
	init                         string // name of an initialisation section
}

// parse reads a path. There is one spelling of each.
func parse(path string) (route, bool) {
	var rt route
	rest, ok := strings.CutPrefix(path, "/live/")
	if !ok {
		if rest, ok = strings.CutPrefix(path, "/videos/"); !ok {
			return rt, false
		}
		rt.videos = true
	}
	if rt.name, rest, ok = strings.Cut(rest, "/"); !ok {
		return rt, false
	}
	if _, err := media.ParseStreamID(rt.name); err != nil {
		return rt, false
	}
	switch rest {
	case "index.m3u8":
		rt.file = multivariant
		return rt, true
	case "manifest.mpd":
		rt.file = manifest
		return rt, true
	case "time.txt":
		rt.file = clock
		return rt, true
	case licenceName:
		rt.file = licence
		return rt, true
	}
	if rt.incarnation, rest, ok = strings.Cut(rest, "/"); !ok {
		return rt, false
	}
	if rt.rendition, rest, ok = strings.Cut(rest, "/"); !ok {
		return rt, false
	}
	return rt, rt.leaf(rest)
}

// leaf reads the last element.
func (rt *route) leaf(name string) bool {
	switch name {
	case "media.m3u8":
		rt.file = mediaList
		return true
	case "iframes.m3u8":
		rt.file = iframeList
		return true
	}
	if number, ok := strings.CutPrefix(name, "init-"); ok {
		rt.init, ok = strings.CutSuffix(number, ".mp4")
		rt.file = initSection
		return ok // it is looked up among what is there
	}
	if text, ok := strings.CutSuffix(name, ".vtt"); ok {
		return rt.text(text)
	}
	name, ok := strings.CutSuffix(name, ".m4s")
	if !ok {
		return false
	}
	if first, last, ok := strings.Cut(name, "-"); ok {
		rt.file = joined
		return decimal(first, &rt.first) && decimal(last, &rt.last)
	}
	if msn, number, ok := strings.Cut(name, "."); ok {
		rt.file = part
		return decimal(msn, &rt.first) && small(number, &rt.part)
	}
	rt.file = segment
	return decimal(name, &rt.first)
}

// text reads the name of a WebVTT file: a segment, or all from some time on.
func (rt *route) text(name string) bool {
	rt.vtt, rt.file = true, segment
	if from, ok := strings.CutPrefix(name, "from-"); ok {
		rt.file, name = text, from
	}
	return decimal(name, &rt.first)
}

// decimal reads a number in its one spelling.
func decimal(s string, to *uint64) bool {
	if s == "" || len(s) > 19 || s[0] == '0' && len(s) > 1 || s[0] < '0' || s[0] > '9' {
		return false
	}
	n, err := strconv.ParseUint(s, 10, 63)
	*to = n
	return err == nil
}

func small(s string, to *int) bool {
	var n uint64
	ok := len(s) <= 6 && decimal(s, &n)
	*to = int(n)
	return ok
}
