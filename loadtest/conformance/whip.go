package conformance

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/publish"
	"github.com/sluice-live/sluice/loadtest/source"
)

// whipDuties are all rows of a WHIP server (RFC 9725).
func whipDuties() []duty {
	d := sessionDuties()
	return append(d,
		duty{id: "direction", section: "4.2", text: "The answer is recvonly", check: direction("recvonly")},
		duty{id: "sendrecv", section: "4.2", text: "An offer that is sendrecv is accepted", check: taken(replace("a=sendonly", "a=sendrecv"))},
		duty{id: "inactive", section: "4.2", text: "An offer that is inactive is refused", check: refusedOffer(replace("a=sendonly", "a=inactive"))},
		duty{id: "recvonly", section: "4.2", text: "An offer that is recvonly is refused", check: refusedOffer(replace("a=sendonly", "a=recvonly"))},
		duty{id: "two-videos", section: "4.4.2", text: "A second video m-line is refused with the whole offer", check: refusedOffer(secondVideo)},
		duty{id: "no-partial", section: "4.4.3", text: "An m-line that cannot be served (unknown codec) refuses the whole offer", check: refusedOffer(replace("H264/90000", "THEORA/90000"))},
		duty{id: "no-packetization-mode", section: "input", text: "H264 without packetization-mode is answered, with 201 or 4xx", check: answered(replace("packetization-mode=1;", ""))},
		duty{id: "passive", section: "clients", text: "FFmpeg's offer (setup:passive, no extensions) is accepted, and DTLS connects", check: shapeConnects(publish.FFmpeg)},
		duty{id: "bundle-only", section: "clients", text: "GStreamer's offer (bundle-only with port 0, video first) is accepted whole", check: bundleOnly},
		duty{id: "obs", section: "clients", text: "OBS's offer is accepted, and DTLS connects", check: shapeConnects(publish.OBS)},
		duty{id: "simulcast", section: "4.8", text: "OBS's three layers are answered with a=rid recv and a=simulcast:recv, all of them", check: simulcast},
		duty{id: "media", section: "4.2", text: "Media is taken: receiver reports come for it", check: mediaTaken},
		duty{id: "late-media", section: "clients", text: "A publisher whose first media comes 10 s late is kept (OBS with AV1)", slow: 12 * time.Second, check: lateMedia},
		duty{id: "extensions", section: "4.9", text: "Extensions are announced as urn:ietf:params:whip:ext links", check: extensions},
		duty{id: "redirect", section: "4.5", text: "Load is balanced by 307", check: cannot("the suite cannot make the server move load")},
		duty{id: "overload", section: "4.5", text: "Overload is answered 503 with Retry-After", check: cannot("the suite does not overload servers")},
	)
}

func cannot(why string) func(context.Context, *bench) outcome {
	return func(context.Context, *bench) outcome { return skip("%s", why) }
}

// secondVideo repeats the video section with another mid.
func secondVideo(s string) string {
	at := strings.Index(s, "m=video")
	if at < 0 {
		return s
	}
	return strings.Replace(s, "a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 2", 1) + strings.Replace(s[at:], "a=mid:1", "a=mid:2", 1)
}

// answered posts an odd offer; any clear answer will do.
func answered(edits ...edit) func(context.Context, *bench) outcome {
	return func(ctx context.Context, b *bench) outcome {
		res, err := b.post(ctx, b.offer(link.NewCredentials(), edits...))
		switch {
		case err != nil:
			return fail("%v", err)
		case res.StatusCode != 201 && !res.refused():
			return fail("answered %s", res.says())
		}
		return pass("%d", res.StatusCode)
	}
}

func shapeConnects(shape publish.Shape) func(context.Context, *bench) outcome {
	return func(ctx context.Context, b *bench) outcome {
		local := link.NewCredentials()
		s, err := b.openOffer(ctx, local, []byte(b.shaped(shape, local)))
		if err != nil {
			return fail("%v", err)
		}
		if shape == publish.FFmpeg && s.answer.Setup != "active" {
			return fail("the answer says setup:%s", s.answer.Setup)
		}
		p, err := b.connect(ctx, s, link.Config{})
		if err != nil {
			return fail("%v", err)
		}
		return pass("setup:%s, %s", s.answer.Setup, p.Profile())
	}
}

func bundleOnly(ctx context.Context, b *bench) outcome {
	local := link.NewCredentials()
	s, err := b.openOffer(ctx, local, []byte(b.shaped(publish.GStreamer, local)))
	if err != nil {
		return fail("%v", err)
	}
	if len(s.answer.Media) != 2 {
		return fail("the answer has %d m-lines", len(s.answer.Media))
	}
	for i, want := range []string{"video0", "audio1"} {
		m := s.answer.Media[i]
		switch {
		case m.MID != want:
			return fail("m-line %d has mid %q", i, m.MID)
		case m.Port == 0 && !has(m, "bundle-only"):
			return fail("mid %q is rejected", m.MID)
		}
	}
	return pass("")
}

func simulcast(ctx context.Context, b *bench) outcome {
	local := link.NewCredentials()
	three := *b
	three.media = source.Synthetic(3, 1_000_000)
	s, err := three.openOffer(ctx, local, []byte(three.shaped(publish.OBS, local)))
	b.opened = three.opened
	if err != nil {
		return fail("%v", err)
	}
	video := s.answer.First("video")
	switch {
	case video == nil:
		return fail("video is rejected")
	case len(video.RIDs) != 3:
		return fail("the answer has the RIDs %v", video.RIDs)
	case !strings.HasPrefix(video.Simulcast, "recv ") || strings.Count(video.Simulcast, ";") != 2:
		return fail("a=simulcast:%s", video.Simulcast)
	}
	return pass("a=simulcast:%s", video.Simulcast)
}

// mediaTaken publishes for a moment.
func mediaTaken(ctx context.Context, b *bench) outcome {
	p, err := b.dial(ctx, publish.Config{URL: b.o.URL, Token: b.o.Token, Shape: publish.OBS})
	if err != nil {
		return fail("%v", err)
	}
	playing, end := context.WithCancel(ctx)
	defer end()
	over := make(chan error, 1)
	go func() { over <- p.Run(playing) }() // waited for below
	for p.Stats().Reports == 0 && ctx.Err() == nil {
		select {
		case err := <-over:
			return fail("it ended early: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
	end()
	if err := <-over; err != nil {
		return fail("%v", err)
	}
	if s := p.Stats(); s.Reports == 0 {
		return fail("%d packets were sent, no receiver report came", s.Packets)
	}
	return pass("")
}

func lateMedia(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	var reports atomic.Uint64
	p, err := b.connect(ctx, s, link.Config{RTCP: func([]rtcp.Packet) { reports.Add(1) }})
	if err != nil {
		return fail("%v", err)
	}
	select {
	case <-p.Gone():
		return fail("the server ended the session before the first media")
	case <-time.After(10 * time.Second):
	case <-ctx.Done():
	}
	res, err := b.patch(ctx, s, s.tag, s.fragment(s.local, "a=end-of-candidates"))
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode == 404:
		return fail("the session is gone")
	}
	return pass("")
}

func extensions(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	n := 0
	for _, l := range links(s.res.Header) {
		if strings.Contains(l, "urn:ietf:params:"+b.o.Kind+":ext:") {
			n++
		}
	}
	if n == 0 {
		return na("the server announces none")
	}
	return pass("%d", n)
}
