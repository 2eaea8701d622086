package conformance

import (
	"context"
	"strings"

	"github.com/sluice-live/sluice/loadtest/link"
)

// answerDuties are those of the answer's SDP and of the connection.
func answerDuties() []duty {
	return []duty{
		{id: "bundle", section: "4.4.1", text: "The answer bundles all m-lines", check: bundle},
		{id: "rtcp-mux", section: "4.4.1", text: "Each bundled m-line has rtcp-mux", check: attribute("rtcp-mux")},
		{id: "rtcp-mux-only", section: "4.4.1", text: "Each bundled m-line has rtcp-mux-only", check: attribute("rtcp-mux-only")},
		{id: "candidates", section: "4.3.2", text: "All candidates of the server are in the answer", check: candidates},
		{id: "connect", section: "4.2", text: "ICE and DTLS connect by the answer's first candidate alone (FFmpeg)", check: connects},
		{id: "setup-active", section: "4.4.4", text: "An offer with setup:active is accepted with passive, or refused with 4xx", check: setupActive},
	}
}

func bundle(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	for _, m := range s.answer.Media {
		found := false
		for _, mid := range s.answer.Bundle {
			found = found || mid == m.MID
		}
		if !found {
			return fail("mid %q is not in BUNDLE %v", m.MID, s.answer.Bundle)
		}
	}
	return pass("%s", strings.Join(s.answer.Bundle, " "))
}

func attribute(name string) func(context.Context, *bench) outcome {
	return func(ctx context.Context, b *bench) outcome {
		s, err := b.open(ctx)
		if err != nil {
			return fail("no session: %v", err)
		}
		for _, m := range s.answer.Media {
			if !has(m, name) {
				return fail("mid %q lacks it", m.MID)
			}
		}
		return pass("")
	}
}

func has(m link.Section, name string) bool {
	for _, a := range m.Attributes {
		if a.Key == name {
			return true
		}
	}
	return false
}

func candidates(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	if len(s.answer.Candidates) == 0 {
		return fail("none for UDP")
	}
	return pass("%d lines, first %v", s.answer.Lines, s.answer.Candidates[0])
}

func connects(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	p, err := b.connect(ctx, s, link.Config{})
	if err != nil {
		return fail("%v", err)
	}
	return pass("%v, %s", p.Remote(), p.Profile())
}

func setupActive(ctx context.Context, b *bench) outcome {
	local := link.NewCredentials()
	res, err := b.post(ctx, b.offer(local, replace("a=setup:actpass", "a=setup:active")))
	if err != nil {
		return fail("%v", err)
	}
	if res.refused() {
		return pass("refused: %s", res.says())
	}
	a, err := link.ParseAnswer(res.Body)
	switch {
	case err != nil:
		return fail("answered %s", res.says())
	case a.Setup != "passive":
		return fail("the answer says setup:%s", a.Setup)
	}
	return pass("accepted")
}

// direction holds the answer's directions against the right one.
func direction(want string) func(context.Context, *bench) outcome {
	return func(ctx context.Context, b *bench) outcome {
		s, err := b.open(ctx)
		if err != nil {
			return fail("no session: %v", err)
		}
		for _, m := range s.answer.Media {
			if m.Port != 0 && m.Direction != want {
				return fail("mid %q is %q", m.MID, m.Direction)
			}
		}
		return pass("")
	}
}

// taken posts a changed offer that must be answered 201.
func taken(edits ...edit) func(context.Context, *bench) outcome {
	return func(ctx context.Context, b *bench) outcome {
		if _, err := b.open(ctx, edits...); err != nil {
			return fail("%v", err)
		}
		return pass("201")
	}
}

// refusedOffer posts a changed offer that must be refused as a whole.
func refusedOffer(edits ...edit) func(context.Context, *bench) outcome {
	return func(ctx context.Context, b *bench) outcome {
		res, err := b.post(ctx, b.offer(link.NewCredentials(), edits...))
		switch {
		case err != nil:
			return fail("%v", err)
		case !res.refused():
			return fail("answered %s", res.says())
		}
		return pass("%d", res.StatusCode)
	}
}
