package signaling_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling"
)

// scribe packages captions; err is what it answers instead.
type scribe struct {
	all []media.Caption
	err error
}

func (s *scribe) Caption(_ context.Context, stream media.StreamID, all []media.Caption) (media.Captioned, error) {
	if s.err != nil {
		return media.Captioned{}, fmt.Errorf("caption %s: %w", stream, s.err)
	}
	s.all = append(s.all, all...)
	return media.Captioned{Packaged: len(all), Recorded: len(all), Late: 1}, nil
}

// captioned is a door with a scribe and two live streams.
func captioned(t *testing.T) (*door, *scribe) {
	d, s := newDoor(t), &scribe{}
	parts := d.parts()
	parts.Captions, parts.Registerer = s, nil
	var err error
	if d.server, err = signaling.New(signaling.DefaultConfig(), parts); err != nil {
		t.Fatal(err)
	}
	d.streams = []media.StreamStatus{{Stream: "x", Live: true}, {Stream: "open", Live: true}, {Stream: "y"}}
	return d, s
}

const captionsOfX = "/v1/streams/x/captions"

func TestCaptionsAreTakenFromPublishers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := captioned(t)
		send := func(status int, body string, head ...string) string {
			t.Helper()
			return text(d.want(status, "POST", captionsOfX, body, with(head, "Content-Type", jsonType)...))
		}
		now := time.Now().UTC()
		if got := send(200, `{"language":"en","text":" Hello "}`, asPub...); got != `{"accepted":1,"packaged":1,"recorded":1,"late":1}`+"\n" {
			t.Error(got)
		}
		send(200, fmt.Sprintf(`[{"language":"PT-br","text":"Olá","start":%q,"end":%q},{"language":"en","text":"x","start":%d,"seconds":2.5}]`,
			now.Add(-time.Second).Format(time.RFC3339Nano), now.Add(2*time.Second).Format(time.RFC3339Nano), now.UnixMilli()), asPub...)
		d.want(200, "POST", captionsOfX, "{\"language\":\"en\",\"text\":\"1\"}\n{\"language\":\"en\",\"text\":\"2\"}\n", with(asPub, "Content-Type", "application/x-ndjson")...)
		want := []media.Caption{
			{Language: "en", Text: "Hello", Start: now, End: now.Add(4 * time.Second)},
			{Language: "pt-br", Text: "Olá", Start: now.Add(-time.Second), End: now.Add(2 * time.Second)},
			{Language: "en", Text: "x", Start: now, End: now.Add(2500 * time.Millisecond)},
			{Language: "en", Text: "1", Start: now, End: now.Add(4 * time.Second)},
			{Language: "en", Text: "2", Start: now, End: now.Add(4 * time.Second)},
		}
		if fmt.Sprint(s.all) != fmt.Sprint(want) {
			t.Errorf("%v\n%v", s.all, want)
		}

		for body, word := range map[string]string{
			``: "no caption", `[]`: "no caption", `{`: "JSON", `{"text":"x"}`: "caption 1", `{"language":"en"}`: "empty",
			`[{"language":"en","text":"x"},{"language":"en","text":" "}]`:                "caption 2",
			`{"language":"en","text":"x","color":"red"}`:                                 "color",
			`{"language":"en","text":"x","start":12}`:                                    "clock",
			`{"language":"en","text":"x","seconds":61}`:                                  "60",
			`{"language":"en","text":"x","seconds":-1}`:                                  "seconds",
			`{"language":"en","text":"x","start":"2026-01-01"}`:                          "JSON",
			`{"language":"en","text":"a\u0007"}`:                                         "control",
			`{"language":"e","text":"x"}`:                                                "RFC 5646",
			`{"language":"en","text":"` + strings.Repeat("x", media.MaxCaption+1) + `"}`: "at most",
			fmt.Sprintf(`{"language":"en","text":"x","end":%d}`, now.UnixMilli()-1):      "ends",
		} {
			if got := send(400, body, asPub...); !strings.Contains(got, word) {
				t.Errorf("%s: %s", body, got)
			}
		}
		send(413, `[`+strings.TrimSuffix(strings.Repeat(`{"language":"en","text":"x"},`, 101), ",")+`]`, asPub...)
		send(413, strings.Repeat(" ", 65<<10), asPub...)
		send(401, `{"language":"en","text":"x"}`)
		send(403, `{"language":"en","text":"x"}`, asPlay...)
		d.want(415, "POST", captionsOfX, `{}`, with(asPub, "Content-Type", "text/plain")...)
		d.want(409, "POST", "/v1/streams/y/captions", `{"language":"en","text":"x"}`, with(asPub, "Content-Type", jsonType)...)
		s.err = media.ErrNotFound // nobody packages it: for viewers by WebRTC all the same
		if got := send(200, `{"language":"en","text":"x"}`, asPub...); !strings.Contains(got, `"packaged":0`) {
			t.Error(got)
		}
		s.err = errors.New("the disk")
		send(500, `{"language":"en","text":"x"}`, asPub...)
		s.err = nil
		languages := make([]string, media.MaxLanguages)
		for i := range languages {
			languages[i] = fmt.Sprintf(`{"language":"a%c","text":"x"}`, 'a'+i)
		}
		send(400, `[`+strings.Join(languages, ",")+`]`, asPub...)
		// A loop that runs wild is held back, and goes on in time.
		refused := 0
		for range 300 {
			if d.do("POST", captionsOfX, `{"language":"en","text":"x"}`, with(asPub, "Content-Type", jsonType)...).StatusCode == 429 {
				refused++
			}
		}
		if refused < 50 {
			t.Errorf("%d of 300 at once were refused", refused)
		}
		time.Sleep(time.Second)
		send(200, `{"language":"en","text":"x"}`, asPub...)
	})
}

func TestCaptionsReachListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, _ := captioned(t)
		stop := d.run(t)
		defer stop()
		say := func(body string) {
			t.Helper()
			d.want(200, "POST", "/v1/streams/open/captions", body, with(asAdmin, "Content-Type", jsonType)...)
			synctest.Wait()
		}
		d.want(401, "GET", captionsOfX, "")
		early := d.read("/v1/streams/open/captions")
		expect(t, "nothing yet", early.events())
		now := time.Now().UnixMilli()
		say(`{"language":"en","text":"Hello","seconds":5}`)
		hello := fmt.Sprintf(`caption {"language":"en","start":%d,"end":%d,"text":"Hello"}`, now, now+5000)
		expect(t, "at once", early.events(), `languages ["en"]`, hello)
		time.Sleep(2 * time.Second)
		late := d.read("/v1/streams/open/captions")
		expect(t, "who joins in the middle", late.events(), `languages ["en"]`, hello)
		time.Sleep(4 * time.Second)
		expect(t, "who joins after it", d.read("/v1/streams/open/captions").events(), `languages ["en"]`)
		now = time.Now().UnixMilli()
		say(`[{"language":"de","text":"eins"},{"language":"en","text":"two"}]`)
		both := []string{`languages ["de","en"]`, fmt.Sprintf(`caption {"language":"de","start":%d,"end":%d,"text":"eins"}`, now, now+4000),
			fmt.Sprintf(`caption {"language":"en","start":%d,"end":%d,"text":"two"}`, now, now+4000)}
		expect(t, "early", early.events(), both...)
		expect(t, "late", late.events(), both...)
		// Who reads nothing misses what is older than the last ones, and holds nobody.
		for i := range 3 {
			say(`[` + strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`{"language":"en","text":"%d"},`, i), 50), ",") + `]`)
		}
		time.Sleep(20 * time.Minute)
		synctest.Wait()
		early.events()
		time.Sleep(time.Minute)
		if early.comments() == 0 || early.ended() {
			t.Error("the connection is not kept alive")
		}
		late.cancel()
		synctest.Wait()
		if !late.ended() {
			t.Error("a listener that left is still there")
		}
	})
}

// Each name that somebody listened to took a place; with enough made-up ones streams lost
// their captions, and those who listened drove each other out for ever.
func TestWhoListensToMadeUpStreamsTakesNobodysPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		parts, cfg := d.parts(), signaling.DefaultConfig()
		parts.Captions, parts.Registerer, cfg.Limits.Requests = &scribe{}, nil, 0
		parts.Policy = func(media.StreamID) media.Policy { return media.Policy{Public: true} }
		var err error
		if d.server, err = signaling.New(cfg, parts); err != nil {
			t.Fatal(err)
		}
		d.streams = []media.StreamStatus{{Stream: "open", Live: true}}
		now := time.Now().UnixMilli()
		d.want(200, "POST", "/v1/streams/open/captions", `{"language":"en","text":"Hello","seconds":60}`, with(asAdmin, "Content-Type", jsonType)...)
		time.Sleep(time.Second)
		for i := range 4100 {
			d.read(fmt.Sprintf("/v1/streams/made-up-%d/captions", i)).cancel()
		}
		expect(t, "who joins then", d.read("/v1/streams/open/captions").events(), `languages ["en"]`,
			fmt.Sprintf(`caption {"language":"en","start":%d,"end":%d,"text":"Hello"}`, now, now+60_000))
		first := d.read("/v1/streams/new/captions")
		d.streams = append(d.streams, media.StreamStatus{Stream: "new", Live: true})
		now = time.Now().UnixMilli()
		d.want(200, "POST", "/v1/streams/new/captions", `{"language":"en","text":"Hello"}`, with(asAdmin, "Content-Type", jsonType)...)
		synctest.Wait()
		expect(t, "who was there first", first.events(), `languages ["en"]`, fmt.Sprintf(`caption {"language":"en","start":%d,"end":%d,"text":"Hello"}`, now, now+4000))
	})
}

// What one node took goes to others once, and never on from there.
func TestCaptionsArePassedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, s := newDoor(t), &scribe{}
		parts := d.parts()
		parts.Captions, parts.Registerer = s, nil
		var passed []string
		parts.PassOn = func(authorization string, stream media.StreamID, all []media.Caption) {
			passed = append(passed, fmt.Sprint(strings.Fields(authorization)[0], " ", stream, " ", all[0].Text, " ", all[0].End.Sub(all[0].Start)))
		}
		var err error
		if d.server, err = signaling.New(signaling.DefaultConfig(), parts); err != nil {
			t.Fatal(err)
		}
		d.streams = []media.StreamStatus{{Stream: "x", Live: true}}
		d.want(200, "POST", captionsOfX, `{"language":"en","text":"a"}`, with(asPub, "Content-Type", jsonType)...)
		d.want(200, "POST", captionsOfX, `{"language":"en","text":"b"}`, with(asPub, "Content-Type", jsonType, signaling.PassedHeader, "1")...)
		d.want(401, "POST", captionsOfX, `{"language":"en","text":"c"}`, "Content-Type", jsonType)
		d.want(400, "POST", captionsOfX, `{"language":"en","text":""}`, with(asPub, "Content-Type", jsonType)...)
		if want := []string{"Bearer x a 4s"}; !slices.Equal(passed, want) || len(s.all) != 2 {
			t.Errorf("%q", passed)
		}
	})
}
