package conformance

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/sluice-live/sluice/loadtest/link"
)

// httpDuties are those of endpoint and session that WHIP and WHEP share.
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
		{id: "options", section: "4.2", text: "OPTIONS is answered 2xx with Accept-Post: application/sdp", check: options},
		{id: "preflight", section: "4.2, 4.7", text: "A CORS preflight needs no token and allows the methods and headers that browsers send", check: preflight},
		{id: "preflight-options", section: "clients", text: "A preflight for a real OPTIONS is allowed (Eyevinn's client)", check: preflightOptions},
		{id: "expose", section: "clients", text: "CORS exposes Location, ETag and Link on the 201", check: expose},
		{id: "expose-patch", section: "clients", text: "CORS exposes ETag on PATCH answers", check: exposePatch},
		{id: "auth", section: "4.7", text: "Without a token: 401 with WWW-Authenticate", check: auth},
		{id: "auth-wrong", section: "4.7", text: "A wrong token is refused with 401 or 403", check: authWrong},
		{id: "ice-servers", section: "4.6", text: "ICE servers are RFC 8288 links with rel=\"ice-server\" and unescaped URIs", check: iceServers},
		{id: "session-random", section: "5", text: "Session URLs differ and hold 122 bits or more", check: random},
		{id: "session-unknown", section: "4.2", text: "DELETE and PATCH of an unknown session are answered 404", check: unknown},
		{id: "https", section: "5", text: "The endpoint is served by HTTPS", check: https},
		{id: "big-body", section: "input", text: "An SDP of 1 MB is refused with 4xx, and the next POST is served", check: bigBody},
		{id: "many-lines", section: "input", text: "500 m-lines are refused with 4xx, and the next POST is served", check: manyLines},
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
	case len(res.body) > 0:
		return fail("answered %d with %d bytes of content", res.StatusCode, len(res.body))
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
	case bytes.HasPrefix(res.body, []byte("v=0")):
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

func options(ctx context.Context, b *bench) outcome {
	res, err := b.do(ctx, request{method: http.MethodOptions, url: b.o.URL})
	switch {
	case err != nil:
		return fail("%v", err)
	case !res.ok():
		return fail("answered %s", res.says())
	case !listed(res.Header, "Accept-Post", link.TypeSDP):
		return fail("%d has Accept-Post %q", res.StatusCode, res.Header.Get("Accept-Post"))
	}
	return pass("%d", res.StatusCode)
}

const origin = "https://player.example"

// ask sends one preflight (Fetch standard, CORS-preflight fetch).
func (b *bench) ask(ctx context.Context, url, method string) (*response, error) {
	return b.do(ctx, request{method: http.MethodOptions, url: url, bare: true, header: http.Header{
		"Origin": {origin}, "Access-Control-Request-Method": {method}, "Access-Control-Request-Headers": {"authorization,content-type,if-match"}}})
}

func preflight(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	for _, c := range []struct{ url, method string }{{b.o.URL, http.MethodPost}, {s.url, http.MethodPatch}, {s.url, http.MethodDelete}} {
		res, err := b.ask(ctx, c.url, c.method)
		if err != nil {
			return fail("%v", err)
		}
		if why := allows(res, c.method, "authorization", "content-type", "if-match"); why != "" {
			return fail("for %s: %s", c.method, why)
		}
	}
	return pass("")
}

// allows says what a preflight's answer lacks, or nothing.
func allows(res *response, method string, headers ...string) string {
	if !res.ok() {
		return "answered " + res.says()
	}
	if o := res.Header.Get("Access-Control-Allow-Origin"); o != "*" && o != origin {
		return "Allow-Origin is \"" + o + "\""
	}
	if !listed(res.Header, "Access-Control-Allow-Methods", method) && !listed(res.Header, "Access-Control-Allow-Methods", "*") {
		return "Allow-Methods is \"" + res.Header.Get("Access-Control-Allow-Methods") + "\""
	}
	for _, h := range headers {
		// "*" does not cover Authorization (Fetch standard).
		if !listed(res.Header, "Access-Control-Allow-Headers", h) && (h == "authorization" || !listed(res.Header, "Access-Control-Allow-Headers", "*")) {
			return "Allow-Headers is \"" + res.Header.Get("Access-Control-Allow-Headers") + "\""
		}
	}
	return ""
}

func preflightOptions(ctx context.Context, b *bench) outcome {
	res, err := b.ask(ctx, b.o.URL, http.MethodOptions)
	if err != nil {
		return fail("%v", err)
	}
	if why := allows(res, http.MethodOptions, "authorization"); why != "" {
		return fail("%s", why)
	}
	return pass("")
}

func expose(ctx context.Context, b *bench) outcome {
	res, err := b.do(ctx, request{method: http.MethodPost, url: b.o.URL, header: http.Header{"Content-Type": {link.TypeSDP}, "Origin": {origin}}, body: b.offer(link.NewCredentials())})
	if err != nil {
		return fail("%v", err)
	}
	for _, h := range []string{"Location", "ETag", "Link"} {
		if !listed(res.Header, "Access-Control-Expose-Headers", h) && !listed(res.Header, "Access-Control-Expose-Headers", "*") {
			return fail("%d exposes %q", res.StatusCode, res.Header.Get("Access-Control-Expose-Headers"))
		}
	}
	return pass("")
}

func exposePatch(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	res, err := b.do(ctx, request{method: http.MethodPatch, url: s.url, body: s.fragment(s.local, hostCandidate),
		header: http.Header{"Content-Type": {link.TypeFragment}, "Origin": {origin}, "If-Match": {s.tag}}})
	if err != nil {
		return fail("%v", err)
	}
	if res.StatusCode == http.StatusMethodNotAllowed {
		return na("PATCH is not supported")
	}
	if !listed(res.Header, "Access-Control-Expose-Headers", "ETag") && !listed(res.Header, "Access-Control-Expose-Headers", "*") {
		return fail("%d exposes %q", res.StatusCode, res.Header.Get("Access-Control-Expose-Headers"))
	}
	return pass("")
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

func bigBody(ctx context.Context, b *bench) outcome {
	return b.hostile(ctx, append(b.offer(link.NewCredentials()), bytes.Repeat([]byte("a=x:yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"), 1<<20/42)...))
}

// manyLines adds short m-lines, so that it is their number that counts.
func manyLines(ctx context.Context, b *bench) outcome {
	offer := b.offer(link.NewCredentials())
	for i := range 500 {
		offer = fmt.Appendf(offer, "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:x%d\r\na=rtpmap:96 H264/90000\r\n", i)
	}
	return b.hostile(ctx, offer)
}

// hostile posts what must be refused, then what must not.
func (b *bench) hostile(ctx context.Context, offer []byte) outcome {
	res, err := b.post(ctx, offer)
	status := "the connection was closed"
	if err == nil {
		if !res.refused() {
			return fail("answered %s", res.says())
		}
		status = res.says()
	} else if ctx.Err() != nil {
		return fail("%v", err)
	}
	if _, err := b.open(ctx); err != nil {
		return fail("%s; but then: %v", status, err)
	}
	return pass("%s", status)
}
