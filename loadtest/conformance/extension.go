package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/sluice-live/sluice/loadtest/link"
)

// Links of the two extensions (webrtc-http-egress-events).
const (
	relEvents = "urn:ietf:params:whep:ext:core:server-sent-events"
	relLayer  = "urn:ietf:params:whep:ext:core:layer"
)

// extensionDuties are those of server-sent events and layer selection.
func extensionDuties() []duty {
	return []duty{
		{id: "sse-link", section: "ext SSE", text: "The events link names its events", check: sseLink},
		{id: "sse-create", section: "ext SSE", text: "POST of wanted events is answered 201 with Location", check: sseCreate},
		{id: "sse-unknown", section: "ext SSE", text: "An unsupported event is answered 400", check: sseUnknown},
		{id: "sse-stream", section: "ext SSE", text: "GET is a text/event-stream; its first event is not inactive and has JSON in one line", check: sseStream},
		{id: "sse-delete", section: "ext SSE", text: "DELETE ends the event stream: later 404", check: sseDelete},
		{id: "sse-session", section: "ext SSE", text: "The event stream dies with its session", check: sseSession},
		{id: "layer-automatic", section: "ext layer", text: "A POST without constraints (automatic) is answered 200", check: layer(map[string]any{}, true)},
		{id: "layer-constraint", section: "ext layer", text: "A POST with maxHeight is answered 200", check: layer(map[string]any{"mediaId": "1", "maxHeight": 360}, true)},
		{id: "layer-bad", section: "ext layer", text: "A POST that is no JSON, or names an unknown m-line, is refused with 4xx", check: layer(map[string]any{"mediaId": "no-such-mid"}, false)},
	}
}

// linked returns the target and the rest of the session's link with that rel.
func (s *session) linked(rel string) (target, rest string, ok bool) {
	for _, l := range links(s.res.Header) {
		uri, rest, found := strings.Cut(strings.TrimPrefix(l, "<"), ">")
		if found && strings.Contains(rest, rel) {
			target, err := link.Resolve(s.res.URL, uri)
			return target, rest, err == nil
		}
	}
	return "", "", false
}

// events opens a session and returns its events link.
func (b *bench) events(ctx context.Context) (*session, string, string, outcome) {
	s, err := b.open(ctx)
	if err != nil {
		return nil, "", "", fail("no session: %v", err)
	}
	target, rest, ok := s.linked(relEvents)
	if !ok {
		return nil, "", "", na("the server does not offer the extension")
	}
	return s, target, rest, outcome{}
}

func sseLink(ctx context.Context, b *bench) outcome {
	s, _, rest, why := b.events(ctx)
	if s == nil {
		return why
	}
	if !strings.Contains(rest, `events="`) {
		return fail("the link has no events: %s", rest)
	}
	return pass("%s", strings.TrimSpace(rest))
}

// subscribe makes an event stream.
func (b *bench) subscribe(ctx context.Context, target string, events ...string) (*response, error) {
	body, err := json.Marshal(events)
	if err != nil {
		return nil, err
	}
	opened := len(b.opened)
	res, err := b.do(ctx, request{method: http.MethodPost, url: target, header: http.Header{"Content-Type": {"application/json"}}, body: body})
	b.opened = b.opened[:opened] // it dies with its session
	return res, err
}

// stream makes one with common events and returns its URL.
func (b *bench) stream(ctx context.Context) (*session, string, outcome) {
	s, target, _, why := b.events(ctx)
	if s == nil {
		return nil, "", why
	}
	res, err := b.subscribe(ctx, target, "active", "inactive")
	switch {
	case err != nil:
		return nil, "", fail("%v", err)
	case res.StatusCode != http.StatusCreated:
		return nil, "", fail("answered %s", res.says())
	}
	u, err := link.Resolve(target, res.Header.Get("Location"))
	if err != nil {
		return nil, "", fail("%v", err)
	}
	return s, u, outcome{}
}

func sseCreate(ctx context.Context, b *bench) outcome {
	s, u, why := b.stream(ctx)
	if s == nil {
		return why
	}
	return pass("%s", u)
}

func sseUnknown(ctx context.Context, b *bench) outcome {
	s, target, _, why := b.events(ctx)
	if s == nil {
		return why
	}
	res, err := b.subscribe(ctx, target, "active", "no-such-event")
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode != http.StatusBadRequest:
		return fail("answered %s", res.says())
	}
	return pass("400")
}

func sseStream(ctx context.Context, b *bench) outcome {
	s, u, why := b.stream(ctx)
	if s == nil {
		return why
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u, nil)
	if err != nil {
		return fail("%v", err)
	}
	req.Header.Set("Accept", "text/event-stream")
	if b.o.Token != "" {
		req.Header.Set("Authorization", "Bearer "+b.o.Token)
	}
	res, err := b.client.Do(req)
	if err != nil {
		return fail("%v", err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK || mediaType(res.Header.Get("Content-Type")) != "text/event-stream" {
		return fail("answered %d, %q", res.StatusCode, res.Header.Get("Content-Type"))
	}
	return firstEvent(bufio.NewScanner(res.Body))
}

func firstEvent(lines *bufio.Scanner) outcome {
	event := ""
	for lines.Scan() {
		line := lines.Text()
		if v, ok := strings.CutPrefix(line, "event:"); ok {
			event = strings.TrimSpace(v)
		}
		data, ok := strings.CutPrefix(line, "data:")
		if !ok {
			continue
		}
		switch {
		case event == "inactive":
			return fail("the first event is inactive")
		case !json.Valid([]byte(strings.TrimSpace(data))):
			return fail("the data of %q is no JSON in one line", event)
		}
		return pass("%s", event)
	}
	return fail("no event came: %v", lines.Err())
}

func sseDelete(ctx context.Context, b *bench) outcome {
	s, u, why := b.stream(ctx)
	if s == nil {
		return why
	}
	res, err := b.delete(ctx, u)
	switch {
	case err != nil:
		return fail("%v", err)
	case !res.ok():
		return fail("DELETE was answered %s", res.says())
	}
	return gone(b.do(ctx, request{method: http.MethodGet, url: u}))
}

func sseSession(ctx context.Context, b *bench) outcome {
	s, u, why := b.stream(ctx)
	if s == nil {
		return why
	}
	if _, err := b.delete(ctx, s.url); err != nil {
		return fail("%v", err)
	}
	return gone(b.do(ctx, request{method: http.MethodGet, url: u}))
}

func gone(res *response, err error) outcome {
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode != http.StatusNotFound:
		return fail("GET is answered %s", res.says())
	}
	return pass("404")
}

// layer posts a choice that must be taken or refused.
func layer(choice map[string]any, good bool) func(context.Context, *bench) outcome {
	return func(ctx context.Context, b *bench) outcome {
		s, err := b.open(ctx)
		if err != nil {
			return fail("no session: %v", err)
		}
		target, _, ok := s.linked(relLayer)
		if !ok {
			return na("the server does not offer the extension")
		}
		bodies := [][]byte{}
		if !good {
			bodies = append(bodies, []byte("hello"))
		}
		body, err := json.Marshal(choice)
		if err != nil {
			return fail("%v", err)
		}
		for _, body := range append(bodies, body) {
			res, err := b.do(ctx, request{method: http.MethodPost, url: target, header: http.Header{"Content-Type": {"application/json"}}, body: body})
			switch {
			case err != nil:
				return fail("%v", err)
			case good && res.StatusCode != http.StatusOK, !good && !res.refused():
				return fail("%s was answered %s", body, res.says())
			}
		}
		return pass("")
	}
}
