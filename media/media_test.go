package media_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/media"
)

func TestStreamNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"demo": true, "a.b.c": true, "A_b-9": true, strings.Repeat("x", 128): true,
		"": false, ".a": false, "a.": false, "a..b": false, "a/b": false, "ü": false, "a b": false, "..": false,
		strings.Repeat("x", 129): false,
	} {
		_, err := media.ParseStreamID(name)
		if (err == nil) != ok {
			t.Errorf("%q: got %v", name, err)
		}
		if err != nil && !errors.Is(err, media.ErrBadStreamID) {
			t.Errorf("%q: %v does not wrap ErrBadStreamID", name, err)
		}
	}
}

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern media.Pattern
		stream  media.StreamID
		want    bool
	}{
		{"demo", "demo", true}, {"demo", "demo2", false}, {"demo*", "demo2", true}, {"*", "x", true}, {"class.*", "class.a", true}, {"class.*", "classa", false},
	} {
		if got := c.pattern.Matches(c.stream); got != c.want {
			t.Errorf("%q on %q: %v", c.pattern, c.stream, got)
		}
	}
	for pattern, ok := range map[media.Pattern]bool{"*": true, "a*": true, "class.*": true, "a": true, "": false, "a*b": false, "/x*": false} {
		if err := pattern.Valid(); (err == nil) != ok {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func TestCodecNames(t *testing.T) {
	for _, name := range []string{"opus", "OPUS", "h264", "hevc", "AV1", "vp8", "VP9"} {
		c, err := media.ParseCodec(name)
		if err != nil || c.Kind() == 0 || c.ClockRate() == 0 {
			t.Errorf("%s: %v %v", name, c, err)
		}
	}
	if _, err := media.ParseCodec("theora"); err == nil {
		t.Error("theora was taken")
	}
}

// Layers are sorted by resolution, never by the order in which an encoder lists them (OBS changes it between runs).
func TestLayersAreRankedByResolution(t *testing.T) {
	small, large := media.LayerInfo{ID: 2, Width: 320, Height: 180}, media.LayerInfo{ID: 0, Width: 1280, Height: 720}
	if !small.Less(large) || large.Less(small) {
		t.Error("the larger picture must rank higher")
	}
}

// hls.js loads the parts of a segment with the number 0 over and over, and may never
// begin to play a stream that is a few seconds old.
func TestNoSegmentHasTheNumberThatPlayersTakeForNone(t *testing.T) {
	if msn, part := (&media.Rendition{}).Next(); msn == 0 || msn != media.FirstSegment || part != 0 {
		t.Errorf("the first segment is %d, the first part %d", msn, part)
	}
}
