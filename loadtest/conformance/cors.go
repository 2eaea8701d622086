package conformance

import (
	"context"
	"net/http"

	"github.com/sluice-live/sluice/loadtest/link"
)

// corsDuties are those of OPTIONS and of browsers.
func corsDuties() []duty {
	return []duty{
		{id: "options", section: "4.2", text: "OPTIONS is answered 2xx with Accept-Post: application/sdp", check: options},
		{id: "preflight", section: "4.2, 4.7", text: "A CORS preflight needs no token and allows the methods and headers that browsers send", check: preflight},
		{id: "preflight-options", section: "clients", text: "A preflight for a real OPTIONS is allowed (Eyevinn's client)", check: preflightOptions},
		{id: "expose", section: "clients", text: "CORS exposes Location, ETag and Link on the 201", check: expose},
		{id: "expose-patch", section: "clients", text: "CORS exposes ETag on PATCH answers", check: exposePatch},
	}
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
