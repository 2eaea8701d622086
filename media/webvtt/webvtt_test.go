package webvtt_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media/webvtt"
)

const film = "\ufeffWEBVTT - a film\r\nKind: captions\r\n\r\nNOTE by hand\r\n\r\nSTYLE\r\n::cue { color: lime }\r\n\r\n" +
	"first\r\n00:01.500 --> 00:00:03.000 line:0 align:start\r\nHello,\r\n<i>world</i>\r\n\r\n\r\n01:00:00.000 --> 01:00:01.000\r\nLater\r\n"

func TestAFilmIsReadAndWritten(t *testing.T) {
	f, err := webvtt.Parse([]byte(film))
	if err != nil {
		t.Fatal(err)
	}
	want := &webvtt.File{Styles: []string{"STYLE\n::cue { color: lime }"}, Cues: []webvtt.Cue{
		{ID: "first", Start: 1500 * time.Millisecond, End: 3 * time.Second, Settings: "line:0 align:start", Text: "Hello,\n<i>world</i>"},
		{Start: time.Hour, End: time.Hour + time.Second, Text: "Later"},
	}}
	if !reflect.DeepEqual(f, want) {
		t.Fatalf("%+v", f)
	}
	text := "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:1,LOCAL:00:00:00.000\n\nSTYLE\n::cue { color: lime }\n\n" +
		"first\n00:00:01.500 --> 00:00:03.000 line:0 align:start\nHello,\n<i>world</i>\n\n01:00:00.000 --> 01:00:01.000\nLater\n"
	if got := string(webvtt.Append(nil, f, true)); got != text {
		t.Errorf("%s", got)
	}
	if f, err = webvtt.Parse([]byte("WEBVTT")); err != nil || len(f.Cues) != 0 {
		t.Errorf("%v %v", f, err)
	}
}

func TestWhatIsWrongIsSaidWithItsLine(t *testing.T) {
	for text, word := range map[string]string{
		"":        "line 1",
		"WEBVTTX": "line 1",
		"WEBVTT\n\n1\n00:00:00,000 --> 00:00:01,000\nSubRip\n":                   "line 4",
		"WEBVTT\n\n00:02.000 --> 00:01.000\nBackwards\n":                         "line 3",
		"WEBVTT\n\n00:00.000 -->\nNo end\n":                                      "line 3",
		"WEBVTT\n\n00:61.000 --> 01:62.000\nSeconds\n":                           "line 3",
		"WEBVTT\n\n00:00.000 --> 00:01.000\nOne\n00:01.000 --> 00:02.000\nTwo\n": "line 5",
		"WEBVTT\n\njust words\n":                                                 "line 3",
		"WEBVTT\n\n00:00.000 --> 00:01.000\nOne\n\nSTYLE\n::cue {}\n":            "line 6",
		"WEBVTT\n\n\xff": "UTF-8",
		"WEBVTT\n\n00:00.000 --> 00:01.000\na\x00b\n":                                     "NUL",
		"WEBVTT\n\n" + strings.Repeat("00:00.000 --> 00:01.000\na\n\n", webvtt.MaxCues+1): "more than",
		"WEBVTT\n\n00:00.000 --> 00:01.000 --> 00:02.000\nTwice\n":                        "twice",
		"WEBVTT\n\n00:00.0000 --> 00:01.000\nDigits\n":                                    "line 3",
	} {
		if _, err := webvtt.Parse([]byte(text)); !errors.Is(err, webvtt.ErrSyntax) || !strings.Contains(err.Error(), word) {
			t.Errorf("%.60q: %v", text, err)
		}
	}
}

func TestShiftAndCutKeepWhatIsShown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := &webvtt.File{}
		for range rapid.IntRange(0, 8).Draw(t, "cues") {
			start := time.Duration(rapid.IntRange(0, 20_000).Draw(t, "start")) * time.Millisecond
			f.Cues = append(f.Cues, webvtt.Cue{Start: start, End: start + time.Duration(rapid.IntRange(1, 5000).Draw(t, "length"))*time.Millisecond, Text: "x"})
		}
		shown := func(f *webvtt.File, at time.Duration) (n int) {
			for _, c := range f.Cues {
				if c.Start <= at && at < c.End {
					n++
				}
			}
			return n
		}
		d := time.Duration(rapid.IntRange(-25_000, 25_000).Draw(t, "by")) * time.Millisecond
		from := time.Duration(rapid.IntRange(0, 20_000).Draw(t, "from")) * time.Millisecond
		to := from + time.Duration(rapid.IntRange(1, 9000).Draw(t, "for"))*time.Millisecond
		moved, part := f.Shift(d), f.Cut(from, to)
		for at := time.Duration(0); at < 50*time.Second; at += 97 * time.Millisecond {
			if got, want := shown(moved, at), shown(f, at-d); got != want {
				t.Fatalf("shifted by %v, %d cues at %v instead of %d", d, got, at, want)
			}
			want := 0
			if at >= from && at < to {
				want = shown(f, at)
			}
			if got := shown(part, at); got != want {
				t.Fatalf("cut from %v to %v, %d cues at %v instead of %d", from, to, got, at, want)
			}
		}
	})
}

func TestPlainTextStaysPlain(t *testing.T) {
	if got := webvtt.Escape("a < b --> c & d\n\n \nlast"); got != "a &lt; b --&gt; c &amp; d\nlast" {
		t.Errorf("%q", got)
	}
}

// FuzzParse: what is read is written so that it is read the same again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(film))
	f.Add([]byte("WEBVTT\n\n00:00.000 --> 00:01.000\nOne\n\nREGION\nid:x\n"))
	f.Add([]byte("WEBVTT\n\nNOTE\n00:00.000 --> 00:01.000\nOne"))
	f.Fuzz(func(t *testing.T, b []byte) {
		one, err := webvtt.Parse(b)
		if err != nil {
			if !errors.Is(err, webvtt.ErrSyntax) {
				t.Fatal(err)
			}
			return
		}
		text := webvtt.Append(nil, one, true)
		two, err := webvtt.Parse(text)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		if !reflect.DeepEqual(one, two) {
			t.Fatalf("%+v\n%+v\n%s", one, two, text)
		}
	})
}
