package conformance

import (
	"bytes"
	"context"
	"net/http"
	"strings"

	"github.com/sluice-live/sluice/loadtest/link"
)

// httpDuties are those of endpoint and session.
func httpDuties() []duty {
	return []duty{
		{id: "get-endpoint", section: "4.1", text: "GET on the endpoint is answered 2xx without content", check: getEndpoint},
		{id: "get-session", section: "4.1", text: "GET on the session is answered 2xx without content", check: getSession},
		{id: "post", section: "4.2", text: "POST of an offer is answered 201 with application/sdp and Location", check: post},
		{id: "location", section: "clients", text: "Location is absolute or begins with / (OBS)", check: location},
		{id: "type-parameters", section: "4.2", text: "The media type is parsed: parameters and case are accepted", check: typeParameters},
		{id: "type-wrong", section: "4.2", text: "POST with another media type is refused (415), without SDP in the body", check: typeWrong},
		{id: "sdp-malformed", section: "4.2", text: "A malformed offer is refused with 4xx", check: malformed},
		{id: "problem", section: "4.1", text: "Errors are application/problem+json (optional)", check: problem},
	}
}

func getEndpoint(ctx context.Context, b *bench) outcome {
	return empty(b.do(ctx, request{method: http.MethodGet, url: b.o.URL}))
}

func getSession(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	return empty(b.do(ctx, request{method: http.MethodGet, url: s.url}))
}

func empty(res *response, err error) outcome {
	switch {
	case err != nil:
		return fail("%v", err)
	case !res.ok():
		return fail("answered %s", res.says())
	case len(res.Body) > 0:
		return fail("answered %d with %d bytes of content", res.StatusCode, len(res.Body))
	}
	return pass("%d", res.StatusCode)
}

func post(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("%v", err)
	}
	if t := mediaType(s.res.Header.Get("Content-Type")); t != link.TypeSDP {
		return fail("Content-Type is %q", t)
	}
	if len(s.answer.Candidates) == 0 {
		return fail("the answer has no UDP candidate")
	}
	return pass("201")
}

func mediaType(v string) string {
	t, _, _ := strings.Cut(v, ";")
	return strings.ToLower(strings.TrimSpace(t))
}

func location(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	l := s.res.Header.Get("Location")
	if !strings.HasPrefix(l, "/") && !strings.HasPrefix(l, "http://") && !strings.HasPrefix(l, "https://") {
		return fail("Location is %q", l)
	}
	return pass("")
}

func typeParameters(ctx context.Context, b *bench) outcome {
	res, err := b.do(ctx, request{method: http.MethodPost, url: b.o.URL, header: http.Header{"Content-Type": {"Application/SDP; charset=utf-8"}}, body: b.offer(link.NewCredentials())})
	if err != nil {
		return fail("%v", err)
	}
	if res.StatusCode != http.StatusCreated {
		return fail("answered %s", res.says())
	}
	return pass("201")
}

func typeWrong(ctx context.Context, b *bench) outcome {
	res, err := b.do(ctx, request{method: http.MethodPost, url: b.o.URL, header: http.Header{"Content-Type": {"text/plain"}}, body: b.offer(link.NewCredentials())})
	switch {
	case err != nil:
		return fail("%v", err)
	case !res.refused():
		return fail("answered %s", res.says())
	case bytes.HasPrefix(res.Body, []byte("v=0")):
		return fail("%d has SDP in its body: a player takes that for a counter-offer", res.StatusCode)
	}
	return pass("%d", res.StatusCode)
}

func malformed(ctx context.Context, b *bench) outcome {
	for _, body := range []string{"", "hello", "v=0\r\nm=video", "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"} {
		res, err := b.post(ctx, []byte(body))
		if err != nil {
			return fail("%v", err)
		}
		if !res.refused() {
			return fail("%q was answered %s", body, res.says())
		}
	}
	return pass("4xx")
}

func problem(ctx context.Context, b *bench) outcome {
	res, err := b.post(ctx, []byte("hello"))
	if err != nil {
		return fail("%v", err)
	}
	if t := mediaType(res.Header.Get("Content-Type")); t != "application/problem+json" {
		return na("errors are %q", t)
	}
	return pass("%s", res.says())
}
