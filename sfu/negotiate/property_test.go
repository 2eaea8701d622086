package negotiate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"pgregory.net/rapid"
)

// drawn makes an offer that is well formed, and may or may not be served.
func drawn(t *rapid.T) []byte {
	var b strings.Builder
	n := rapid.IntRange(1, 4).Draw(t, "m-lines")
	var mids []string
	for i := range n {
		if rapid.IntRange(0, 9).Draw(t, "bundled") > 0 {
			mids = append(mids, fmt.Sprintf("m%d", i))
		}
	}
	mids = rapid.Permutation(mids).Draw(t, "group")
	b.WriteString(strings.Replace(head, "BUNDLE 0 1", "BUNDLE "+strings.Join(mids, " "), 1) + strings.Repeat("0C:", 31) + "0C\r\n")
	if rapid.Bool().Draw(t, "mixed") {
		b.WriteString("a=extmap-allow-mixed\r\n")
	}
	for i := range n {
		section(t, &b, i)
	}
	return []byte(b.String())
}

func section(t *rapid.T, b *strings.Builder, i int) {
	kind := rapid.SampledFrom([]string{"video", "audio", "video", "audio", "application"}).Draw(t, "kind")
	port := rapid.SampledFrom([]string{"9", "9", "9", "0"}).Draw(t, "port")
	if kind == "application" {
		fmt.Fprintf(b, "m=application %s UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:m%d\r\n", port, i)
		return
	}
	pts := rapid.SliceOfNDistinct(rapid.IntRange(0, 127), 1, 12, rapid.ID[int]).Draw(t, "payload types")
	fmt.Fprintf(b, "m=%s %s UDP/TLS/RTP/SAVPF", kind, port)
	for _, pt := range pts {
		fmt.Fprintf(b, " %d", pt)
	}
	fmt.Fprintf(b, "\r\nc=IN IP4 0.0.0.0\r\na=mid:m%d\r\n", i)
	fmt.Fprintf(b, "a=%s\r\n", rapid.SampledFrom([]string{"sendrecv", "sendonly", "recvonly", "inactive", "x"}).Draw(t, "direction"))
	for _, flag := range []string{"rtcp-mux", "rtcp-mux", "rtcp-rsize", "bundle-only", "rtcp-xr:rcvr-rtt=all"} {
		if rapid.IntRange(0, 4).Draw(t, flag) > 0 {
			fmt.Fprintf(b, "a=%s\r\n", flag)
		}
	}
	for _, pt := range append(pts, 5) { // 5 may be a leftover
		encoding(t, b, kind, pt, pts)
	}
	for range rapid.IntRange(0, 8).Draw(t, "extensions") {
		fmt.Fprintf(b, "a=extmap:%d%s %s\r\n", rapid.IntRange(1, 20).Draw(t, "id"),
			rapid.SampledFrom([]string{"", "", "/sendonly", "/recvonly", "/inactive"}).Draw(t, "flow"),
			rapid.SampledFrom([]string{"urn:ietf:params:rtp-hdrext:sdes:mid", "urn:ietf:params:rtp-hdrext:toffset",
				"urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id", "urn:3gpp:video-orientation", "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
				"http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"}).Draw(t, "uri"))
	}
	for _, l := range []string{"rid:a send pt=96", "rid:b send", "simulcast:send a;~b"} {
		if rapid.Bool().Draw(t, l) {
			fmt.Fprintf(b, "a=%s\r\n", l)
		}
	}
}

func encoding(t *rapid.T, b *strings.Builder, kind string, pt int, pts []int) {
	names := []string{"H264/90000", "VP8/90000", "vp9/90000", "AV1/90000", "H265/90000", "rtx/90000", "red/90000", "ulpfec/90000"}
	if kind == "audio" {
		names = []string{"opus/48000/2", "OPUS/48000/2", "red/48000/2", "PCMU/8000", "rtx/48000"}
	}
	fmt.Fprintf(b, "a=rtpmap:%d %s\r\n", pt, rapid.SampledFrom(names).Draw(t, "encoding"))
	if rapid.Bool().Draw(t, "parameters") {
		fmt.Fprintf(b, "a=fmtp:%d %s\r\n", pt, rapid.SampledFrom([]string{
			fmt.Sprintf("apt=%d", rapid.SampledFrom(pts).Draw(t, "apt")), "profile-level-id=42e01f;packetization-mode=1", "stereo=1; usedtx=1", "=;;=", "x",
		}).Draw(t, "fmtp"))
	}
	for _, fb := range []string{"nack", "nack pli", "transport-cc", "goog-remb", "ccm fir"} {
		if rapid.Bool().Draw(t, fb) {
			fmt.Fprintf(b, "a=rtcp-fb:%d %s\r\n", pt, fb)
		}
	}
}

// Whatever is offered, an answer has the offer's m-lines and nothing that was
// not offered, and a refusal has a status.
func TestEveryAnswerFitsItsOffer(t *testing.T) {
	served := 0
	rapid.Check(t, func(t *rapid.T) {
		o := drawn(t)
		for side, negotiated := range map[string]func([]byte, negotiate.Config) (*negotiate.Remote, error){
			"publisher": negotiate.Publish, "viewer": negotiate.Subscribe,
		} {
			r, err := negotiated(o, negotiate.DefaultConfig())
			if err != nil {
				if errors.Is(err, media.ErrBadOffer) == errors.Is(err, media.ErrUnsupported) {
					t.Fatalf("%s: %v has no status", side, err)
				}
				continue
			}
			served++
			answer := r.Answer(local())
			holds(t, o, r, answer)
			offeredOnly(t, string(o), r)
			if side == "publisher" {
				mirrored(t, r, answer)
			}
		}
	})
	if served < 20 {
		t.Errorf("only %d offers were served: the property saw nothing", served)
	}
}

// offeredOnly holds extensions, codecs and feedback against the offer's text.
func offeredOnly(t *rapid.T, o string, r *negotiate.Remote) {
	parts := strings.Split(o, "\r\nm=")[1:]
	for i := range r.Media {
		m := &r.Media[i]
		has := func(format string, args ...any) bool {
			return strings.Contains(parts[i]+"\r\n", fmt.Sprintf(format, args...))
		}
		ids := map[uint8]bool{}
		for name, id := range map[string]uint8{"sdes:mid": m.Ext.MID, "sdes:rtp-stream-id": m.Ext.RID, "video-orientation": m.Ext.Orientation,
			"ssrc-audio-level": m.Ext.AudioLevel, "transport-wide-cc": m.Ext.TransportCC} {
			if id == 0 {
				continue
			}
			offered := false
			for l := range strings.SplitSeq(parts[i], "\r\n") {
				rest, ok := strings.CutPrefix(l, fmt.Sprintf("a=extmap:%d", id))
				offered = offered || ok && (rest[0] == ' ' || rest[0] == '/') && strings.Contains(rest, name)
			}
			if ids[id] || !offered {
				t.Errorf("extension %s got id %d, offered: %s", name, id, parts[i])
			}
			ids[id] = true
		}
		for _, c := range m.Codecs {
			for name, on := range map[string]bool{"nack": c.NACK, "nack pli": c.PLI, "ccm fir": c.FIR, "goog-remb": c.REMB, "transport-cc": c.TransportCC} {
				if on && !has("a=rtcp-fb:%d %s\r\n", c.PT, name) {
					t.Errorf("%s was accepted for %d and not offered", name, c.PT)
				}
			}
			if c.RTX != 0 && !has("apt=%d", c.PT) {
				t.Errorf("%d as RTX of %d was not offered", c.RTX, c.PT)
			}
		}
	}
}

// mirrored reads the answer to a publisher as if a viewer had offered it: it
// must be understood, and mean the same codecs.
func mirrored(t interface{ Fatalf(string, ...any) }, r *negotiate.Remote, answer []byte) {
	again, err := negotiate.Subscribe([]byte(strings.Replace(string(answer), "a=ice-lite\r\n", "", 1)), negotiate.DefaultConfig())
	if err != nil {
		t.Fatalf("read the answer again: %v\n%s", err, answer)
	}
	for i := range r.Media {
		a, b := &r.Media[i], &again.Media[i]
		if a.Kind == media.Audio && a.Track != media.AudioTrack { // a viewer takes one
			continue
		}
		if b.Rejected || len(a.Codecs) != len(b.Codecs) {
			t.Fatalf("%d codecs became %d (%s)\n%s", len(a.Codecs), len(b.Codecs), b.Reason, answer)
		}
		for j := range a.Codecs {
			x, y := a.Codecs[j], b.Codecs[j]
			if x.Codec != y.Codec || x.PT != y.PT || x.RTX != y.RTX || x.Profile != y.Profile || x.NACK != y.NACK || x.PLI != y.PLI || x.TransportCC != y.TransportCC {
				t.Fatalf("%+v became %+v\n%s", x, y, answer)
			}
		}
		if a.Ext.MID != b.Ext.MID || a.Ext.TransportCC != b.Ext.TransportCC {
			t.Fatalf("extensions %+v became %+v\n%s", a.Ext, b.Ext, answer)
		}
	}
}
