package conformance

import (
	"bytes"
	"context"
	_ "embed" // browsers' offers
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/rtp"
	"github.com/sluice-live/sluice/loadtest/link"
)

// What two browsers really send, with identities cut out.
var (
	//go:embed offers/chromium-156-whep.sdp
	chromiumOffer string
	//go:embed offers/firefox-153-whep.sdp
	firefoxOffer string
)

// whepDuties are all rows of a WHEP server (draft-ietf-wish-whep).
func whepDuties() []duty {
	d := sessionDuties()
	d = append(d,
		duty{id: "head", section: "4.2", text: "HEAD on the endpoint is answered 200 with Content-Type application/sdp", check: head},
		duty{id: "direction", section: "4.3.5", text: "The answer is sendonly", check: direction("sendonly")},
		duty{id: "sendonly", section: "4.3.5", text: "An offer that is sendonly is refused", check: refusedOffer(replace("a=recvonly", "a=sendonly"))},
		duty{id: "inactive", section: "4.3.5", text: "An offer that is inactive is refused", check: refusedOffer(replace("a=recvonly", "a=inactive"))},
		duty{id: "sdp-patch", section: "4.3.2, 4.5.1", text: "PATCH of an SDP answer without a pending counter-offer is refused (422)", check: sdpPatch},
		duty{id: "stray-406", section: "4.5.1", text: "406 is kept for counter-offers", check: stray406},
		duty{id: "not-live", section: "4.3.8", text: "Nobody publishes: 409 with Retry-After, or 201 and media later", check: notLive},
		duty{id: "chromium", section: "clients", text: "Chromium's offer with all its codecs is accepted", check: browser(&chromiumOffer)},
		duty{id: "firefox", section: "clients", text: "Firefox's offer (rtcp-fb of removed payload types) is read", check: browser(&firefoxOffer)},
		duty{id: "stream", section: "4.6", text: "All tracks are of one MediaStream", check: oneStream},
		duty{id: "audio-only", section: "partials", text: "A viewer of audio alone is served", check: taken(audioOnly)},
		duty{id: "data-channel", section: "partials", text: "A data channel m-line is rejected alone, or refused with 4xx", check: dataChannel},
		duty{id: "media", section: "4.3", text: "Media comes, audio and video", check: mediaComes},
		duty{id: "extensions", section: "4.10", text: "Extensions are announced as urn:ietf:params:whep:ext links", check: extensions},
	)
	return append(d, extensionDuties()...)
}

func head(ctx context.Context, b *bench) outcome {
	res, err := b.do(ctx, request{method: http.MethodHead, url: b.o.URL})
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode != http.StatusOK && res.StatusCode != http.StatusNoContent:
		return fail("answered %d", res.StatusCode)
	case mediaType(res.Header.Get("Content-Type")) != link.TypeSDP:
		return fail("Content-Type is %q", res.Header.Get("Content-Type"))
	}
	return pass("%d", res.StatusCode)
}

func sdpPatch(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	res, err := b.do(ctx, request{method: http.MethodPatch, url: s.url, header: http.Header{"Content-Type": {link.TypeSDP}, "If-Match": {s.tag}}, body: b.offer(s.local)})
	switch {
	case err != nil:
		return fail("%v", err)
	case !res.refused():
		return fail("answered %s", res.says())
	}
	return pass("%d", res.StatusCode)
}

func stray406(ctx context.Context, b *bench) outcome {
	for _, offer := range [][]byte{[]byte("hello"), b.offer(link.NewCredentials(), replace("H264/90000", "THEORA/90000"), replace("opus/48000/2", "SPEEX/32000"))} {
		res, err := b.post(ctx, offer)
		if err != nil {
			return fail("%v", err)
		}
		if res.StatusCode == http.StatusNotAcceptable && !bytes.HasPrefix(res.Body, []byte("v=0")) {
			return fail("406 without a counter-offer: %s", res.says())
		}
	}
	return pass("")
}

// idle is an endpoint that nobody publishes to.
func (b *bench) idle() string {
	if b.o.IdleURL != "" {
		return b.o.IdleURL
	}
	u, err := url.Parse(b.o.URL)
	if err != nil {
		return ""
	}
	at := strings.LastIndexByte(u.Path, '/')
	if at < 0 || !strings.HasSuffix(u.Path[:at], "/whep") {
		return ""
	}
	u.Path = u.Path[:at+1] + "conformance-nobody-publishes-this"
	return u.String()
}

func notLive(ctx context.Context, b *bench) outcome {
	endpoint := b.idle()
	if endpoint == "" {
		return skip("no endpoint without a publisher is known")
	}
	res, err := b.do(ctx, request{method: http.MethodPost, url: endpoint, header: http.Header{"Content-Type": {link.TypeSDP}}, body: b.offer(link.NewCredentials())})
	switch {
	case err != nil:
		return fail("%v", err)
	case res.StatusCode == http.StatusCreated:
		return pass("201")
	case res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden:
		return skip("the token does not cover %s", endpoint)
	case res.StatusCode != http.StatusConflict:
		return fail("answered %s", res.says())
	case res.Header.Get("Retry-After") == "":
		return fail("409 without Retry-After")
	}
	return pass("409, Retry-After %s", res.Header.Get("Retry-After"))
}

func browser(text *string) func(context.Context, *bench) outcome {
	return func(ctx context.Context, b *bench) outcome {
		local := link.NewCredentials()
		offer := strings.NewReplacer("\n", "\r\n", "{ufrag}", local.Ufrag, "{pwd}", local.Pwd, "{fingerprint}", b.cert.Fingerprint).Replace(*text)
		res, err := b.post(ctx, []byte(offer))
		switch {
		case err != nil:
			return fail("%v", err)
		case res.StatusCode == http.StatusCreated:
			if _, err := link.ParseAnswer(res.Body); err != nil {
				return fail("%v", err)
			}
			return pass("201")
		case res.refused() && !strings.Contains(*text, "H264/90000"):
			return na("the viewer has no H264, and the server wants to know at once: %s", res.says())
		}
		return fail("answered %s", res.says())
	}
}

func oneStream(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	streams := map[string]bool{}
	for _, m := range s.answer.Media {
		for _, a := range m.Attributes {
			if a.Key == "msid" {
				id, _, _ := strings.Cut(a.Value, " ")
				streams[id] = true
			}
		}
	}
	switch len(streams) {
	case 0:
		return fail("the answer has no msid")
	case 1:
		return pass("")
	}
	return fail("%d MediaStreams", len(streams))
}

// audioOnly cuts the video section off.
func audioOnly(s string) string {
	at := strings.Index(s, "m=video")
	return strings.Replace(s[:at], "a=group:BUNDLE 0 1", "a=group:BUNDLE 0", 1)
}

func dataChannel(ctx context.Context, b *bench) outcome {
	local := link.NewCredentials()
	section := strings.Join([]string{"m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "c=IN IP4 0.0.0.0", "a=ice-ufrag:" + local.Ufrag, "a=ice-pwd:" + local.Pwd,
		"a=fingerprint:sha-256 " + b.cert.Fingerprint, "a=setup:actpass", "a=mid:2", "a=sctp-port:5000"}, "\r\n") + "\r\n"
	res, err := b.post(ctx, append(b.offer(local, replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 2")), section...))
	switch {
	case err != nil:
		return fail("%v", err)
	case res.refused():
		return pass("%d", res.StatusCode)
	case res.StatusCode != http.StatusCreated:
		return fail("answered %s", res.says())
	}
	a, err := link.ParseAnswer(res.Body)
	switch {
	case err != nil:
		return fail("%v", err)
	case len(a.Media) != 3:
		return fail("the answer has %d m-lines", len(a.Media))
	case a.Media[2].Port != 0:
		return pass("accepted")
	}
	return pass("rejected alone")
}

func mediaComes(ctx context.Context, b *bench) outcome {
	s, err := b.open(ctx)
	if err != nil {
		return fail("no session: %v", err)
	}
	var audio, video atomic.Uint64
	_, err = b.connect(ctx, s, link.Config{RTP: func(h *rtp.Header, payload []byte, _ time.Time) {
		switch {
		case len(payload) == 0: // a probe
		case h.PayloadType == 111:
			audio.Add(1)
		default:
			video.Add(1)
		}
	}})
	if err != nil {
		return fail("%v", err)
	}
	for ctx.Err() == nil {
		if audio.Load() > 5 && video.Load() > 5 {
			return pass("")
		}
		wait(ctx, 50*time.Millisecond)
	}
	return fail("%d audio and %d video packets came", audio.Load(), video.Load())
}
