package conformance

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/sluice-live/sluice/loadtest/link"
)

// restartDuties are those of ICE restarts.
func restartDuties() []duty {
	return []duty{
		{id: "restart", section: "4.3.3", text: "New credentials with If-Match * restart: 200, fragment with new credentials, new strong ETag", check: restart},
		{id: "restart-tag", section: "4.3.3", text: "After a restart the old tag is answered 412, the new one is good", check: restartTag},
		{id: "restart-candidate", section: "clients", text: "A restart's answer has exactly one candidate line (whip-whep 1.2)", check: restartCandidate},
		{id: "restart-lite", section: "4.3.3", text: "A restart's answer keeps ice-lite as it was", check: restartLite},
		{id: "restart-path", section: "4.3.3", text: "After a restart checks with the new credentials are answered", check: restartPath},
		{id: "restart-failed", section: "4.3.3", text: "A restart that fails is an error and does not end the session", check: restartFailed},
	}
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
	for line := range strings.Lines(string(res.Body)) {
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
		if n := bytes.Count(r.res.Body, []byte("a=candidate:")); n != 1 {
			return fail("%d candidate lines", n)
		}
		return pass("")
	})
}

func restartLite(ctx context.Context, b *bench) outcome {
	return restartRow(ctx, b, func(r *restarted) outcome {
		if lite := bytes.Contains(r.res.Body, []byte("a=ice-lite")); lite != r.answer.Lite {
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
