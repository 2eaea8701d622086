package conformance

import (
	"context"
	"net/http"
	"strings"

	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/publish"
)

// trickleDuties are those of entity-tags and trickle PATCHes.
func trickleDuties() []duty {
	return []duty{
		{id: "etag", section: "4.3.1", text: "The 201 has a strong entity-tag, quoted", check: etag},
		{id: "etag-unique", section: "4.3.1", text: "Each ICE session has an entity-tag of its own", check: etagUnique},
		{id: "trickle", section: "4.3.2", text: "A trickle PATCH is answered 204 without body and without ETag", check: trickle},
		{id: "trickle-empty", section: "4.3.2", text: "A fragment without candidates, and one with only end-of-candidates, is accepted", check: trickleLines("", "a=end-of-candidates")},
		{id: "trickle-mdns", section: "4.3.2", text: "An mDNS candidate is dropped silently", check: trickleLines("a=candidate:1 1 UDP 2113937151 5c2b7a7e-1d3c-4b8f-9a61-2f0d8e6c1b45.local 54400 typ host")},
		{id: "trickle-foreign", section: "4.3.2", text: "Candidates of unknown transports, component 2 or private networks are dropped silently",
			check: trickleLines("a=candidate:2 1 TCP 1015021823 192.0.2.2 9 typ host tcptype active\r\na=candidate:3 1 SCTP 1 192.0.2.2 9 typ host\r\na=candidate:4 2 UDP 1 192.0.2.2 9 typ host\r\na=candidate:5 1 UDP 2015363327 10.1.2.3 22 typ host")},
		{id: "trickle-mid", section: "clients", text: "A fragment is matched by its mid alone, whatever its m-line says (GStreamer)", check: trickleMid},
		{id: "patch-type", section: "4.3.1", text: "A PATCH with another media type is refused with 4xx", check: patchType},
		{id: "patch-malformed", section: "4.3.1", text: "A malformed fragment is refused with 4xx", check: patchMalformed},
		{id: "patch-untagged", section: "4.3.1", text: "A PATCH without If-Match is answered 428 (browser libraries send none)", check: patchUntagged},
		{id: "patch-wrong-tag", section: "4.3.1", text: "A PATCH with a wrong tag is answered 412", check: patchWrongTag},
	}
}

func etag(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	switch {
	case err != nil:
		return fail("no session: %v", err)
	case s.tag == "":
		return fail("the 201 has no ETag")
	case !strong(s.tag):
		return fail("ETag is %s", s.tag)
	}
	return pass("%s", s.tag)
}

func etagUnique(ctx context.Context, b *bench) outcome {
	first, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	if _, err := b.delete(ctx, first.url); err != nil {
		return fail("%v", err)
	}
	second, err := b.open(ctx)
	switch {
	case err != nil:
		return fail("no second session: %v", err)
	case first.tag == second.tag:
		return fail("two sessions have the ETag %q", first.tag)
	}
	return pass("")
}

func trickle(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	res, err := b.patch(ctx, s, s.tag, s.fragment(s.local, hostCandidate))
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode == http.StatusUnprocessableEntity || res.StatusCode == http.StatusMethodNotAllowed:
		return na("trickle is not supported: %d", res.StatusCode)
	case res.StatusCode != http.StatusNoContent:
		return fail("answered %s", res.says())
	case res.Header.Get("ETag") != "":
		return fail("204 has the ETag %s", res.Header.Get("ETag"))
	}
	return pass("204")
}

// trickleLines sends one fragment per string; each must be taken.
func trickleLines(fragments ...string) func(context.Context, *bench) outcome {
	return func(ctx context.Context, b *bench) outcome {
		s, err := b.open(ctx)
		if err != nil {
			return fail("no session: %v", err)
		}
		for _, lines := range fragments {
			f := s.fragment(s.local)
			if lines != "" {
				f = s.fragment(s.local, lines)
			}
			res, err := b.patch(ctx, s, s.tag, f)
			if err != nil {
				return fail("%v", err)
			}
			if res.StatusCode == http.StatusMethodNotAllowed {
				return na("PATCH is not supported")
			}
			if res.StatusCode != http.StatusNoContent {
				return fail("answered %s", res.says())
			}
		}
		return pass("204")
	}
}

// trickleMid sends what GStreamer's client sends: the first mid under an m-line
// of the other kind, of RTP/AVP.
func trickleMid(ctx context.Context, b *bench) outcome {
	local := link.NewCredentials()
	offer, kind := b.offer(local), "video"
	if b.o.Kind == WHIP {
		offer, kind = []byte(b.shaped(publish.GStreamer, local)), "audio"
	}
	s, err := b.openOffer(ctx, local, offer)
	if err != nil {
		return fail("no session: %v", err)
	}
	lines := []string{"a=ice-ufrag:" + local.Ufrag, "a=ice-pwd:" + local.Pwd, "m=" + kind + " 9 RTP/AVP 0", "a=mid:" + s.answer.Media[0].MID, hostCandidate}
	res, err := b.patch(ctx, s, s.tag, []byte(strings.Join(lines, "\r\n")+"\r\n"))
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode == http.StatusMethodNotAllowed:
		return na("PATCH is not supported")
	case res.StatusCode != http.StatusNoContent:
		return fail("answered %s", res.says())
	}
	return pass("204")
}

func patchType(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	res, err := b.do(ctx, request{method: http.MethodPatch, url: s.url, header: http.Header{"Content-Type": {"text/plain"}, "If-Match": {s.tag}}, body: s.fragment(s.local, hostCandidate)})
	switch {
	case err != nil:
		return fail("%v", err)
	case !res.refused():
		return fail("answered %s", res.says())
	}
	return pass("%d", res.StatusCode)
}

func patchMalformed(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	for _, body := range []string{"hello", "a=candidate"} {
		res, err := b.patch(ctx, s, s.tag, []byte(body))
		if err != nil {
			return fail("%v", err)
		}
		if !res.refused() {
			return fail("%q was answered %s", body, res.says())
		}
	}
	return pass("4xx")
}

func patchUntagged(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	res, err := b.patch(ctx, s, "", s.fragment(s.local, hostCandidate))
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode == http.StatusPreconditionRequired:
		return pass("428")
	case res.ok():
		return b.lenient("answered %d: a missing If-Match is taken as *", res.StatusCode)
	case res.StatusCode == http.StatusMethodNotAllowed:
		return na("PATCH is not supported")
	}
	return fail("answered %s", res.says())
}

func patchWrongTag(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	return b.stale(ctx, s, `"not-this-session"`)
}

// stale sends a fragment with a tag that is not the session's.
func (b *bench) stale(ctx context.Context, s *session, tag string) outcome {
	res, err := b.patch(ctx, s, tag, s.fragment(s.local, hostCandidate))
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode == http.StatusMethodNotAllowed:
		return na("PATCH is not supported")
	case res.StatusCode != http.StatusPreconditionFailed:
		return fail("answered %s", res.says())
	}
	return pass("412")
}
