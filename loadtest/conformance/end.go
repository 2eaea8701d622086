package conformance

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/sluice-live/sluice/loadtest/link"
)

// endDuties are those of how sessions end.
func endDuties() []duty {
	return []duty{
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
	if err := ctx.Err(); err != nil { // then nobody has waited for answers
		return fail("not seen: %v", err)
	}
	return pass("")
}

// closed opens a session, connects, and ends it by DTLS.
func (b *bench) closed(ctx context.Context) (*session, error) {
	s, err := b.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("no session: %w", err)
	}
	p, err := b.connect(ctx, s, link.Config{})
	if err != nil {
		return nil, fmt.Errorf("no connection: %w", err)
	}
	// Our last flight may still be on its way: an alert that overtakes it is dropped.
	wait(ctx, 300*time.Millisecond)
	p.Close(true)
	return s, nil
}

func dtlsClose(ctx context.Context, b *bench) outcome {
	s, err := b.closed(ctx)
	if err != nil {
		return fail("%v", err)
	}
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
	s, err := b.closed(ctx)
	if err != nil {
		return fail("%v", err)
	}
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
