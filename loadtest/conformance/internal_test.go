package conformance

import (
	"bufio"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestLinksAreSplitOnlyBetweenLinks(t *testing.T) {
	h := http.Header{"Link": {`<turn:a?x,y>; rel="ice-server"; credential="p,q", <stun:b>; rel="ice-server"`, `</c>; rel="d"; events="active,inactive"`}}
	want := []string{`<turn:a?x,y>; rel="ice-server"; credential="p,q"`, `<stun:b>; rel="ice-server"`, `</c>; rel="d"; events="active,inactive"`}
	if got := links(h); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func FuzzLinks(f *testing.F) {
	f.Add(`<turn:a?x,y>; rel="ice-server", <stun:b>`)
	f.Add(`<",>,"`)
	f.Fuzz(func(t *testing.T, v string) {
		n := 0
		for _, l := range links(http.Header{"Link": {v}}) {
			n += len(l)
		}
		if n > len(v) {
			t.Errorf("%q became longer", v)
		}
	})
}

func FuzzFirstEvent(f *testing.F) {
	f.Add("event: active\ndata: {}\n\n")
	f.Add("data: {")
	f.Fuzz(func(t *testing.T, s string) {
		if out := firstEvent(bufio.NewScanner(strings.NewReader(s))); out.verdict != Pass && out.verdict != Fail {
			t.Errorf("the verdict is %q", out.verdict)
		}
	})
}
