package conformance

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/sluice-live/sluice/loadtest/link"
)

// accessDuties are those of who gets in, and where sessions are.
func accessDuties() []duty {
	return []duty{
		{id: "auth", section: "4.7", text: "Without a token: 401 with WWW-Authenticate", check: auth},
		{id: "auth-wrong", section: "4.7", text: "A wrong token is refused with 401 or 403", check: authWrong},
		{id: "ice-servers", section: "4.6", text: "ICE servers are RFC 8288 links with rel=\"ice-server\" and unescaped URIs", check: iceServers},
		{id: "session-random", section: "5", text: "Session URLs differ and hold 122 bits or more", check: random},
		{id: "session-unknown", section: "4.2", text: "DELETE and PATCH of an unknown session are answered 404", check: unknown},
		{id: "https", section: "5", text: "The endpoint is served by HTTPS", check: https},
	}
}

func auth(ctx context.Context, b *bench) outcome {
	if b.o.Token == "" {
		return skip("no token is given, so the server asks for none")
	}
	res, err := b.do(ctx, request{method: http.MethodPost, url: b.o.URL, bare: true, header: http.Header{"Content-Type": {link.TypeSDP}}, body: b.offer(link.NewCredentials())})
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode == http.StatusCreated:
		return na("the server serves this stream without a token")
	case res.StatusCode != http.StatusUnauthorized:
		return fail("answered %s", res.says())
	case res.Header.Get("WWW-Authenticate") == "":
		return fail("401 without WWW-Authenticate")
	}
	return pass("401, %s", res.Header.Get("WWW-Authenticate"))
}

func authWrong(ctx context.Context, b *bench) outcome {
	if b.o.Token == "" {
		return skip("no token is given, so the server asks for none")
	}
	res, err := b.do(ctx, request{method: http.MethodPost, url: b.o.URL, bare: true,
		header: http.Header{"Content-Type": {link.TypeSDP}, "Authorization": {"Bearer wrong"}}, body: b.offer(link.NewCredentials())})
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return pass("%d", res.StatusCode)
	}
	return fail("answered %s", res.says())
}

func iceServers(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	n := 0
	for _, l := range links(s.res.Header) {
		if !strings.Contains(l, "ice-server") {
			continue
		}
		n++
		uri, rest, ok := strings.Cut(strings.TrimPrefix(l, "<"), ">")
		scheme, _, _ := strings.Cut(uri, ":")
		switch {
		case !strings.HasPrefix(l, "<") || !ok:
			return fail("%q has no angle brackets", l)
		case scheme != "stun" && scheme != "stuns" && scheme != "turn" && scheme != "turns":
			return fail("%q is no STUN or TURN URI", uri)
		case strings.Contains(uri, "%3F") || strings.Contains(uri, "%3D"):
			return fail("%q is escaped", uri)
		case !strings.Contains(rest, "rel=\"ice-server\"") && !strings.Contains(rest, "rel=ice-server"):
			return fail("%q has no rel=\"ice-server\"", l)
		}
	}
	if n == 0 {
		return na("the server announces none")
	}
	return pass("%d", n)
}

// links splits Link headers at commas outside angle brackets and quotes.
func links(h http.Header) []string {
	var out []string
	for _, v := range h.Values("Link") {
		begin, angle, quoted := 0, false, false
		for i := range len(v) {
			switch c := v[i]; {
			case c == '"' && !angle:
				quoted = !quoted
			case c == '<' && !quoted:
				angle = true
			case c == '>' && !quoted:
				angle = false
			case c == ',' && !angle && !quoted:
				out = append(out, strings.TrimSpace(v[begin:i]))
				begin = i + 1
			}
		}
		out = append(out, strings.TrimSpace(v[begin:]))
	}
	return out
}

func random(ctx context.Context, b *bench) outcome {
	first, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	if _, err := b.delete(ctx, first.url); err != nil {
		return fail("%v", err)
	}
	second, err := b.open(ctx)
	if err != nil {
		return fail("no second session: %v", err)
	}
	u, err := url.Parse(second.url)
	if err != nil {
		return fail("%v", err)
	}
	id := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	switch {
	case first.url == second.url:
		return fail("two sessions have the URL %s", first.url)
	case len(id) < 21: // 122 bits in base64, the densest writing
		return fail("%q holds fewer than 122 bits", id)
	}
	return pass("%d characters", len(id))
}

func unknown(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	cut := strings.LastIndexByte(s.url, '/') + 1
	other := *s
	other.url = s.url[:cut] + reverse(s.url[cut:])
	res, err := b.delete(ctx, other.url)
	if err != nil {
		return fail("%v", err)
	}
	if res.StatusCode != http.StatusNotFound {
		return fail("DELETE was answered %s", res.says())
	}
	if res, err = b.patch(ctx, &other, s.tag, s.fragment(s.local, hostCandidate)); err != nil {
		return fail("%v", err)
	}
	if res.StatusCode != http.StatusNotFound {
		return fail("PATCH was answered %s", res.says())
	}
	return pass("404")
}

func reverse(s string) string {
	out := []byte(s)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return string(out)
}

func https(_ context.Context, b *bench) outcome {
	if strings.HasPrefix(b.o.URL, "https://") {
		return pass("")
	}
	return na("the suite was pointed at plain http")
}
