package conformance

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/publish"
)

// iceDuties are those of PATCH and of entity-tags.
func iceDuties() []duty {
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
		{id: "restart", section: "4.3.3", text: "New credentials with If-Match * restart: 200, fragment with new credentials, new strong ETag", check: restart},
		{id: "restart-tag", section: "4.3.3", text: "After a restart the old tag is answered 412, the new one is good", check: restartTag},
		{id: "restart-candidate", section: "clients", text: "A restart's answer has exactly one candidate line (whip-whep 1.2)", check: restartCandidate},
		{id: "restart-lite", section: "4.3.3", text: "A restart's answer keeps ice-lite as it was", check: restartLite},
		{id: "restart-path", section: "4.3.3", text: "After a restart checks with the new credentials are answered", check: restartPath},
		{id: "restart-failed", section: "4.3.3", text: "A restart that fails is an error and does not end the session", check: restartFailed},
		{id: "delete-tag", section: "4.3.1", text: "DELETE ignores If-Match", check: deleteTag},
		{id: "delete", section: "4.2", text: "DELETE is answered 200", check: deleted},
		{id: "delete-again", section: "clients", text: "A second DELETE just after is answered 200 (OBS repeats it otherwise)", check: deleteAgain},
		{id: "delete-patch", section: "4.2", text: "PATCH after DELETE is answered 404", check: deletePatch},
		{id: "delete-path", section: "4.2", text: "DELETE ends consent at once: checks are answered no more", check: deletePath},
		{id: "dtls-close", section: "4.2", text: "Closing DTLS ends the session on the server", check: dtlsClose},
		{id: "close-delete", section: "clients", text: "DELETE after closing DTLS is answered 200 (OBS stops like that)", check: closeDelete},
		{id: "consent", section: "4.2", text: "A client that falls silent is noticed within 45 s (RFC 7675)", slow: 45 * time.Second, check: consent},
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
	for _, body := range []string{"hello", "a=candidate", "m="} {
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

// restarted is a session whose ICE was restarted.
type restarted struct {
	*session
	local, remote link.Credentials
	tag           string
	res           *response
}

// again restarts a session's ICE. The outcome tells why it could not, if so.
func (b *bench) again(ctx context.Context, s *session) (*restarted, outcome) {
	local := link.NewCredentials()
	res, err := b.patch(ctx, s, "*", s.fragment(local))
	switch {
	case err != nil:
		return nil, fail("%v", err)
	case res.StatusCode == http.StatusUnprocessableEntity || res.StatusCode == http.StatusMethodNotAllowed:
		return nil, na("restarts are not supported: %d", res.StatusCode)
	case res.StatusCode != http.StatusOK:
		return nil, fail("answered %s", res.says())
	}
	r := &restarted{session: s, local: local, tag: res.Header.Get("ETag"), res: res}
	for line := range strings.Lines(string(res.body)) {
		line = strings.TrimSpace(line)
		if v, ok := strings.CutPrefix(line, "a=ice-ufrag:"); ok {
			r.remote.Ufrag = v
		}
		if v, ok := strings.CutPrefix(line, "a=ice-pwd:"); ok {
			r.remote.Pwd = v
		}
	}
	return r, outcome{}
}

// restartRow opens, restarts and looks.
func restartRow(ctx context.Context, b *bench, look func(*restarted) outcome) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	r, why := b.again(ctx, s)
	if r == nil {
		return why
	}
	return look(r)
}

func restart(ctx context.Context, b *bench) outcome {
	return restartRow(ctx, b, func(r *restarted) outcome {
		switch {
		case mediaType(r.res.Header.Get("Content-Type")) != link.TypeFragment:
			return fail("Content-Type is %q", r.res.Header.Get("Content-Type"))
		case r.remote.Ufrag == "" || r.remote.Pwd == "":
			return fail("the answer has no credentials: %s", r.res.says())
		case r.remote.Ufrag == r.answer.Remote.Ufrag || r.remote.Pwd == r.answer.Remote.Pwd:
			return fail("the server's credentials did not change")
		case !strong(r.tag):
			return fail("the new ETag is %q", r.tag)
		case r.tag == r.session.tag:
			return fail("the ETag did not change")
		}
		return pass("200")
	})
}

func restartTag(ctx context.Context, b *bench) outcome {
	return restartRow(ctx, b, func(r *restarted) outcome {
		if out := b.stale(ctx, r.session, r.session.tag); out.verdict != Pass {
			return fail("the old tag: %s", out.detail)
		}
		res, err := b.patch(ctx, r.session, r.tag, r.fragment(r.local, hostCandidate))
		switch {
		case err != nil:
			return fail("%v", err)
		case res.StatusCode != http.StatusNoContent:
			return fail("the new tag: answered %s", res.says())
		}
		return pass("412, then 204")
	})
}

func restartCandidate(ctx context.Context, b *bench) outcome {
	return restartRow(ctx, b, func(r *restarted) outcome {
		if n := bytes.Count(r.res.body, []byte("a=candidate:")); n != 1 {
			return fail("%d candidate lines", n)
		}
		return pass("")
	})
}

func restartLite(ctx context.Context, b *bench) outcome {
	return restartRow(ctx, b, func(r *restarted) outcome {
		if lite := bytes.Contains(r.res.body, []byte("a=ice-lite")); lite != r.answer.Lite {
			return fail("the answer said ice-lite: %v, the restart says %v", r.answer.Lite, lite)
		}
		return pass("")
	})
}

func restartPath(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	p, err := b.connect(ctx, s, link.Config{})
	if err != nil {
		return fail("no connection: %v", err)
	}
	r, why := b.again(ctx, s)
	if r == nil {
		return why
	}
	before := p.Answers()
	p.Restart(r.local, r.remote)
	for p.Answers() == before {
		wait(ctx, 50*time.Millisecond)
		if ctx.Err() != nil {
			return fail("no check with the new credentials was answered")
		}
		p.Restart(r.local, r.remote) // checks again
	}
	return pass("")
}

func restartFailed(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	res, err := b.patch(ctx, s, "*", s.fragment(link.Credentials{Ufrag: "x", Pwd: "y"})) // shorter than RFC 8839 section 5.4 allows
	if err != nil {
		return fail("%v", err)
	}
	if res.StatusCode/100 != 4 {
		return fail("a restart with credentials that are too short was answered %s", res.says())
	}
	res, err = b.patch(ctx, s, s.tag, s.fragment(s.local, hostCandidate))
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode != http.StatusNoContent:
		return fail("afterwards the session answered %s", res.says())
	}
	return pass("")
}

func deleteTag(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	res, err := b.do(ctx, request{method: http.MethodDelete, url: s.url, header: http.Header{"If-Match": {`"not-this-session"`}}})
	switch {
	case err != nil:
		return fail("%v", err)
	case !res.ok():
		return fail("answered %s", res.says())
	}
	return pass("%d", res.StatusCode)
}

func deleted(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	return deletes200(b.delete(ctx, s.url))
}

func deletes200(res *response, err error) outcome {
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode != http.StatusOK:
		return fail("answered %s", res.says())
	}
	return pass("200")
}

func deleteAgain(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	if out := deletes200(b.delete(ctx, s.url)); out.verdict != Pass {
		return out
	}
	return deletes200(b.delete(ctx, s.url))
}

func deletePatch(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	if _, err := b.delete(ctx, s.url); err != nil {
		return fail("%v", err)
	}
	res, err := b.patch(ctx, s, s.tag, s.fragment(s.local, hostCandidate))
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode != http.StatusNotFound:
		return fail("answered %s", res.says())
	}
	return pass("404")
}

func deletePath(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	p, err := b.connect(ctx, s, link.Config{})
	if err != nil {
		return fail("no connection: %v", err)
	}
	if _, err := b.delete(ctx, s.url); err != nil {
		return fail("%v", err)
	}
	// What is on its way may still arrive.
	wait(ctx, 300*time.Millisecond)
	before := p.Answers()
	for range 5 {
		p.Restart(s.local, s.answer.Remote) // a check with what was good
		wait(ctx, 100*time.Millisecond)
	}
	if n := p.Answers() - before; n > 0 {
		return fail("%d of 5 checks after the DELETE were answered", n)
	}
	return pass("")
}

func dtlsClose(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	p, err := b.connect(ctx, s, link.Config{})
	if err != nil {
		return fail("no connection: %v", err)
	}
	p.Close(true)
	return b.awaitEnd(ctx, s)
}

// awaitEnd polls until PATCH is answered 404.
func (b *bench) awaitEnd(ctx context.Context, s *session) outcome {
	begun := time.Now()
	last := "nothing"
	for ctx.Err() == nil {
		res, err := b.patch(ctx, s, s.tag, s.fragment(s.local, "a=end-of-candidates"))
		if err == nil {
			if last = res.says(); res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusGone {
				return pass("after %.1f s", time.Since(begun).Seconds())
			}
		}
		wait(ctx, 200*time.Millisecond)
	}
	return fail("after %.0f s a PATCH is still answered %s", time.Since(begun).Seconds(), last)
}

func closeDelete(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	p, err := b.connect(ctx, s, link.Config{})
	if err != nil {
		return fail("no connection: %v", err)
	}
	p.Close(true)
	wait(ctx, 500*time.Millisecond) // time for the server to notice
	return deletes200(b.delete(ctx, s.url))
}

func consent(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	p, err := b.connect(ctx, s, link.Config{})
	if err != nil {
		return fail("no connection: %v", err)
	}
	p.Close(false)
	return b.awaitEnd(ctx, s)
}
