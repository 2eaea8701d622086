package signaling_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling"
)

// One name leads from POST to close: in answers, in the log and in the context
// that the media plane gets.
func TestOneTraceFromPostToClose(t *testing.T) {
	d := newDoor(t)
	resp := d.want(201, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...)
	trace, at := resp.Header.Get("Trace-Id"), resp.Header.Get("Location")
	if len(trace) != 16 {
		t.Fatalf("trace %q", trace)
	}
	for _, resp := range []*http.Response{
		d.want(204, "PATCH", at, trickled, with(asPub, "Content-Type", fragmentType)...),
		d.want(412, "PATCH", at, trickled, with(asPub, "Content-Type", fragmentType, "If-Match", `"x"`)...),
		d.want(200, "DELETE", at, "", asPub...),
	} {
		if got := resp.Header.Get("Trace-Id"); got != trace {
			t.Errorf("trace %q, want %q", got, trace)
		}
	}
	if want := []string{trace, trace, trace}; !slices.Equal(d.traces, want) {
		t.Errorf("the media plane saw %v, want %v", d.traces, want)
	}
	for _, line := range []string{`msg="publisher joined" trace=` + trace, `msg="session ended" trace=` + trace} {
		if !strings.Contains(d.log.String(), line) {
			t.Errorf("%q is not in the log:\n%s", line, d.log)
		}
	}
	if other := d.do("GET", "/whip/x", "").Header.Get("Trace-Id"); other == trace || other == "" {
		t.Errorf("another request has the trace %q", other)
	}
}

// tracing is a media plane that logs in its own words.
type tracing struct {
	*fake
	log *slog.Logger
}

func (p tracing) Publish(ctx context.Context, o media.Offer) (media.Answer, error) {
	p.log.InfoContext(context.WithoutCancel(ctx), "first packet came")
	return p.fake.Publish(ctx, o)
}

func TestLogHandlerAddsTheTrace(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(signaling.LogHandler(slog.NewTextHandler(&out, nil))).With("room", "sfu")
	f := newFake()
	server, err := signaling.New(signaling.DefaultConfig(), signaling.Parts{
		Sessions: tracing{f, log}, Views: f, Authorizer: guard{}, Policy: func(media.StreamID) media.Policy { return media.Policy{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	d := &door{fake: f, t: t, server: server}
	trace := d.want(201, "POST", "/whip/x", offer, with(asPub, "Content-Type", sdpType)...).Header.Get("Trace-Id")
	if got := out.String(); !strings.Contains(got, `msg="first packet came" room=sfu trace=`+trace) {
		t.Errorf("got %s", got)
	}
	out.Reset()
	log.Info("without")
	if strings.Contains(out.String(), "trace=") {
		t.Errorf("got %s", out.String())
	}
}

func TestSecretsAreNotLogged(t *testing.T) {
	d := newDoor(t)
	at, _ := d.publish()
	d.do("POST", "/whip/x?token=topsecret", offer, "Content-Type", sdpType, "Authorization", "Bearer hunter2")
	d.do("PATCH", at, trickled, with(asPub, "Content-Type", fragmentType)...)
	d.do("PATCH", at, "nonsense", with(asPub, "Content-Type", fragmentType)...)
	d.do("POST", at, "", asPub...)
	d.do("DELETE", at, "", asPub...)
	for _, secret := range []string{"topsecret", "hunter2", "clientpassword", at, at[len("/whip/x/"):]} {
		if strings.Contains(d.log.String(), secret) {
			t.Errorf("%q is in the log", secret)
		}
	}
}

// What strangers send does not fill the log: no names that are none, and
// nothing above debug for those who show no token.
func TestStrangersDoNotFillTheLog(t *testing.T) {
	d := newDoor(t)
	long := strings.Repeat("x", 10000)
	d.want(400, "POST", "/whip/"+long, offer, with(asPub, "Content-Type", sdpType)...)
	d.want(415, "POST", "/whip/x", offer, with(asPub, "Content-Type", long)...)
	if n := len(d.log.String()); n > 2000 {
		t.Errorf("%d bytes were logged", n)
	}
	d = newDoor(t)
	d.want(401, "POST", "/whip/x", offer, "Content-Type", sdpType)
	if got := d.log.String(); strings.Contains(got, "level=WARN") || !strings.Contains(got, "level=DEBUG") {
		t.Errorf("logged %s", got)
	}
	d.want(403, "POST", "/whip/x", offer, with(asPlay, "Content-Type", sdpType)...)
	if got := d.log.String(); !strings.Contains(got, "level=WARN") || !strings.Contains(got, "stream=x") {
		t.Errorf("logged %s", got)
	}
}
