package negotiate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/sfu/negotiate"
)

const rid = "\r\na=extmap:2 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"

// Encodings that nothing tells apart on the wire cannot be taken; the
// publisher then sends one.
func TestSimulcastNeedsTheRIDExtension(t *testing.T) {
	r, err := negotiate.Publish(offer(video+"\r\na=rid:a send\r\na=rid:b send\r\na=simulcast:send a;b"), negotiate.DefaultConfig())
	if err != nil || len(r.Video().RIDs) != 0 {
		t.Fatalf("%+v %v", r, err)
	}
	lacks(t, string(r.Answer(local())), "a=simulcast", "a=rid")
}

// The answer lists what was offered and can be had (RFC 8853 section 5.3.2).
func TestSimulcastAnswers(t *testing.T) {
	for _, c := range []struct{ name, offered, rids, answer string }{
		{"plain", "rid:a send|rid:b send|simulcast:send a;b", "a b", "a=rid:a recv|a=rid:b recv|a=simulcast:recv a;b"},
		{"both directions", "rid:a send|rid:z recv|simulcast:recv z send a", "a", "a=rid:a recv|a=simulcast:recv a"},
		{"space after the colon", "rid:a send|simulcast: send a", "a", "a=simulcast:recv a"},
		{"paused", "rid:a send|rid:b send|simulcast:send ~a;b", "a b", "a=simulcast:recv ~a;b"},
		{"alternatives", "rid:a send|rid:b send|rid:c send|simulcast:send a,b;~c,a", "a c", "a=rid:c recv|a=simulcast:recv a;~c"},
		{"listed without a rid", "rid:a send|simulcast:send a;b", "a", "a=simulcast:recv a"},
		{"listed twice", "rid:a send|simulcast:send a;a", "a", "a=simulcast:recv a"},
		{"restrictions stay", "rid:a send max-width=320;max-fps=15|simulcast:send a", "a", "a=rid:a recv max-width=320;max-fps=15"},
		{"payload types that were taken stay", "rid:a send pt=96,97;max-width=320|rid:b send pt=97|simulcast:send a;b", "a",
			"a=rid:a recv pt=96;max-width=320|a=simulcast:recv a"},
		{"rids alone are no simulcast", "rid:a send|rid:b send", "", ""},
		{"only more than eight are too many", "rid:1 send|rid:2 send|rid:3 send|rid:4 send|rid:5 send|rid:6 send|rid:7 send|rid:8 send|simulcast:send 1;2;3;4;5;6;7;8",
			"1 2 3 4 5 6 7 8", "a=simulcast:recv 1;2;3;4;5;6;7;8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := negotiate.Publish(offer(video+rid+"\r\na="+strings.ReplaceAll(c.offered, "|", "\r\na=")), negotiate.DefaultConfig())
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Video().RIDs; !slices.Equal(got, strings.Fields(c.rids)) {
				t.Errorf("took %v, want %s", got, c.rids)
			}
			answer := strings.ReplaceAll(string(r.Answer(local())), "\r\n", "\n")
			if c.answer == "" {
				lacks(t, answer, "a=rid", "a=simulcast")
				return
			}
			wants(t, answer, strings.Split(c.answer, "|")...)
		})
	}
}
