package negotiate_test

import (
	"bytes"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/negotiate"
)

// must negotiates a kept offer and returns its answer with plain line ends.
func must(t *testing.T, name string) (*negotiate.Remote, string) {
	t.Helper()
	r, err := read(name, load(t, name+".offer.sdp"))
	if err != nil {
		t.Fatal(err)
	}
	return r, strings.ReplaceAll(string(r.Answer(local())), "\r\n", "\n")
}

func wants(t *testing.T, answer string, lines ...string) {
	t.Helper()
	for _, l := range lines {
		if !strings.Contains("\n"+answer, "\n"+l+"\n") {
			t.Errorf("the answer has no line %q:\n%s", l, answer)
		}
	}
}

func lacks(t *testing.T, answer string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if strings.Contains(answer, p) {
			t.Errorf("the answer has %q:\n%s", p, answer)
		}
	}
}

// FFmpeg wants to be the DTLS server, and says all of ICE and DTLS at media level only.
func TestFFmpegIsAnsweredActive(t *testing.T) {
	r, answer := must(t, "ffmpeg-9.0.2")
	if r.Setup != "active" || r.Ufrag != "6a4a7a9e" || len(r.Fingerprints) != 1 || r.Fingerprints[0].Algorithm != "sha-256" || r.Trickle {
		t.Errorf("read %+v", r)
	}
	wants(t, answer, "a=setup:active", "m=video 9 UDP/TLS/RTP/SAVPF 106 105", "a=rtcp-fb:106 nack")
	lacks(t, answer, "setup:passive", "nack pli", "a=extmap:", "ice-options")
	v := r.Video()
	if v.SSRC != 3378560432 || v.RTXSSRC != 3378560433 || v.Ext != (negotiate.Extensions{}) {
		t.Errorf("the FID group was not read: %+v", v)
	}
	if c := v.Codecs[0]; c.Profile != "Baseline" || c.RTX != 105 || !c.NACK || c.PLI {
		t.Errorf("codec %+v", c)
	}
	if first := strings.Index(answer, "a=candidate:"); first < 0 || !strings.Contains(answer[first:first+60], " udp ") {
		t.Error("FFmpeg takes the first candidate only, and it must be UDP")
	}
}

// OBS separates ice-options by a comma, has RIDs but no SSRC, and counts the
// semicolons of the answer.
func TestOBSGetsEveryLayerAccepted(t *testing.T) {
	r, answer := must(t, "obs-32.2.2-h264-simulcast3")
	if !r.Trickle || r.Setup != "passive" {
		t.Errorf("trickle %v setup %s", r.Trickle, r.Setup)
	}
	wants(t, answer, "a=ice-options:ice2 trickle", "a=rid:0 recv", "a=rid:1 recv", "a=rid:2 recv", "a=simulcast:recv 0;1;2",
		"a=fmtp:111 minptime=10;maxaveragebitrate=96000;useinbandfec=1;stereo=1;sprop-stereo=1")
	v, a := r.Video(), r.Audio()
	if !slices.Equal(v.RIDs, []string{"0", "1", "2"}) || v.SSRC != 0 || v.Ext.MID != 1 || v.Ext.RID != 2 || v.Ext.RRID != 0 {
		t.Errorf("video %+v", v)
	}
	if !a.Stereo || !a.FEC || a.DTX || a.SSRC != 1713989880 {
		t.Errorf("audio %+v", a)
	}
}

// An m-line with port 0 and bundle-only is switched on (RFC 9143 section 6);
// GStreamer writes OPUS.
func TestBundleOnlyWithPortZeroIsNotRejected(t *testing.T) {
	r, answer := must(t, "simple-whip-client-trickle")
	wants(t, answer, "a=group:BUNDLE video0 audio1", "m=audio 9 UDP/TLS/RTP/SAVPF 100", "a=rtpmap:100 opus/48000/2")
	if a := r.ByMID("audio1"); a == nil || a.Rejected || a.Codecs[0].Codec != media.Opus {
		t.Errorf("audio %+v", a)
	}
	// Its rtcp-fb names transport-cc, but there is no header extension to report on.
	lacks(t, answer, "transport-cc", "bundle-only")
}

func TestChromiumSimulcastKeepsItsOrder(t *testing.T) {
	r, answer := must(t, "chromium-156-whip-VP8-x3")
	wants(t, answer, "a=simulcast:recv q;h;f", "a=extmap-allow-mixed", "a=rtcp-xr:rcvr-rtt=all", "a=rtcp-fb:96 transport-cc")
	v := r.Video()
	if !slices.Equal(v.RIDs, []string{"q", "h", "f"}) || v.Ext.RRID != 11 || v.Ext.Descriptor != 12 || v.Ext.TransportCC != 3 || !v.RcvrRTT {
		t.Errorf("video %+v", v)
	}
}

// A browser sends what the answer lists first: sound with copies, as it answers no NACK for it.
func TestREDIsTakenFromPublishersWhoOfferIt(t *testing.T) {
	r, answer := must(t, "chromium-156-whip-default")
	wants(t, answer, "m=audio 9 UDP/TLS/RTP/SAVPF 63 111", "a=rtpmap:63 red/48000/2", "a=fmtp:63 111/111")
	lacks(t, answer, "red/90000")
	if m, c, rtx := r.ByPT(63); m != r.Audio() || c.Codec != media.Opus || rtx {
		t.Errorf("RED means %+v %v", c, rtx)
	}
	for _, name := range []string{"obs-32.2.2-h264", "ffmpeg-9.0.2", "made-up-gstreamer-whipsink", "simple-whip-client-trickle"} {
		r, answer := must(t, name)
		lacks(t, answer, "red/")
		if r.Audio().RED != 0 {
			t.Errorf("%s: RED is %d", name, r.Audio().RED)
		}
	}
}

// The player asks for dependency descriptors. One with a structure needs two-byte headers between one-byte ones.
func TestDescriptorsNeedBothFormsOfHeaders(t *testing.T) {
	r, answer := must(t, "chromium-156-whep-player")
	wants(t, answer, "a=extmap:14 https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension", "a=extmap-allow-mixed")
	if r.Video().Ext.Descriptor != 14 {
		t.Errorf("%+v", r.Video().Ext)
	}
	r, err := negotiate.Subscribe(bytes.ReplaceAll(load(t, "chromium-156-whep-player.offer.sdp"), []byte("a=extmap-allow-mixed\r\n"), nil), negotiate.DefaultConfig())
	if err != nil || r.Video().Ext.Descriptor != 0 {
		t.Errorf("%v: %+v", err, r.Video().Ext)
	}
}

// The publisher sends what the answer lists first.
func TestPublishersAreAnsweredInTheConfiguredOrder(t *testing.T) {
	for _, order := range [][]media.Codec{{media.VP9, media.H264}, {media.AV1}, {media.VP8, media.AV1, media.VP9, media.H264}} {
		r, err := negotiate.Publish(load(t, "chromium-156-whip-default.offer.sdp"), negotiate.Config{Codecs: order})
		if err != nil {
			t.Fatal(err)
		}
		var got []media.Codec
		for _, c := range r.Video().Codecs {
			if !slices.Contains(got, c.Codec) {
				got = append(got, c.Codec)
			}
			if c.REMB || c.TransportCC {
				t.Errorf("feedback that is switched off was accepted: %+v", c)
			}
			if c.RTX == 0 {
				t.Errorf("no retransmissions for %+v", c)
			}
		}
		if !slices.Equal(got, order) {
			t.Errorf("answered %v, want %v", got, order)
		}
	}
}

// A viewer takes everything that it knows, so that a later publisher may use
// another codec without a new offer.
func TestViewersKeepEveryCommonCodec(t *testing.T) {
	r, answer := must(t, "chromium-156-whep")
	if n := len(r.Video().Codecs); n != 15 {
		t.Errorf("%d of 15 codecs were taken", n)
	}
	wants(t, answer, "a=sendonly", "a=msid:sluice video", "a=msid:sluice audio", "a=ssrc-group:FID 2001 2002", "a=ssrc:1001 cname:cname")
	lacks(t, answer, "ulpfec", "flexfec", "red/90000", "abs-send-time", "rtp-stream-id", "G722")
	if a := r.Audio(); a.RED != 63 {
		t.Errorf("RED for sound was answered as %d", a.RED)
	}
}

// Firefox leaves rtcp-fb lines of removed payload types, gives directions to
// extensions, and its fingerprint at session level.
func TestFirefoxLeftoversAreIgnored(t *testing.T) {
	r, answer := must(t, "firefox-153-whep")
	wants(t, answer, "m=video 9 UDP/TLS/RTP/SAVPF 99 100 121 125 120 124", "a=extmap:6/sendonly http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
		"a=fmtp:109 useinbandfec=1;stereo=1;sprop-stereo=1")
	lacks(t, answer, ":122", ":123", "csrc-audio-level", "max-fs", " 2 udp")
	if e := r.Video().Ext; e.PlayoutDelay != 6 || e.MID != 3 || e.TransportCC != 7 {
		t.Errorf("extensions %+v", e)
	}
}

// Safari refuses 42001f, and takes 42e01f and 640c1f: the answer repeats what
// was offered for each payload type.
func TestSafariGetsItsOwnProfiles(t *testing.T) {
	r, answer := must(t, "made-up-safari-whep")
	lacks(t, answer, "42001f", ".local")
	for stream, want := range map[string]uint8{
		"profile-level-id=42e01f;packetization-mode=1": 98,
		"profile-level-id=42c01e;packetization-mode=1": 98, // the same profile, written in another way
		"profile-level-id=4d8028;packetization-mode=1": 98, // likewise
		"profile-level-id=640c34;packetization-mode=1": 96, // Constrained High
		"profile-level-id=640028":                      96, // High: the nearest there is
		"profile-level-id=42001f":                      96, // Baseline as encoders misname it
	} {
		if c := r.Video().Match(media.H264, stream); c == nil || c.PT != want {
			t.Errorf("%s goes out as %+v, want %d", stream, c, want)
		}
	}
}

func TestMatchNeedsTheProfile(t *testing.T) {
	r, _ := must(t, "chromium-156-whep")
	v := r.Video()
	for _, c := range []struct {
		codec  media.Codec
		params string
		want   uint8
	}{
		{media.VP9, "", 98}, {media.VP9, "profile-id=2", 100}, {media.VP9, "profile-id=3", 37}, {media.VP9, "profile-id=9", 0},
		{media.AV1, "", 45}, {media.AV1, "profile=1", 47}, {media.AV1, "profile=2", 0}, {media.VP8, "", 96}, {media.H265, "", 0},
		{media.H264, "packetization-mode=0;profile-level-id=42e01f", 108}, {media.H264, "profile-level-id=4D001E", 116},
		{media.H264, "profile-level-id=f4001f;packetization-mode=1", 41},
	} {
		got := v.Match(c.codec, c.params)
		if (got == nil) != (c.want == 0) || got != nil && got.PT != c.want {
			t.Errorf("%s %q: %+v, want %d", c.codec, c.params, got, c.want)
		}
	}
}

// A data channel in a viewer's offer is refused alone, though it is bundled.
func TestViewersDataChannelIsRejectedAlone(t *testing.T) {
	r, answer := must(t, "made-up-gstreamer-webrtcbin-whep")
	wants(t, answer, "a=group:BUNDLE video0 audio1", "m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:application2")
	if m := r.Media[2]; !m.Rejected || m.Reason == "" {
		t.Errorf("%+v", m)
	}
	if c := r.Video().Codecs[0]; c.Codec != media.H264 || c.PT != 101 || c.RTX != 97 || c.Profile != "Baseline" {
		t.Errorf("H264 without parameters was read as %+v", c)
	}
}

// No packetization-mode means 0 (RFC 6184 section 8.1), and is answered as offered.
func TestMissingPacketizationModeIsTaken(t *testing.T) {
	r, answer := must(t, "made-up-gstreamer-whipsink")
	wants(t, answer, "a=fmtp:96 profile-level-id=42c01e", "a=fmtp:111 stereo=1;sprop-stereo=1")
	lacks(t, answer, "sprop-parameter-sets", "packetization-mode")
	if c := r.Video().Codecs[0]; c.Profile != "Constrained Baseline" || !strings.Contains(c.Fmtp, "sprop-parameter-sets") {
		t.Errorf("%+v", c)
	}
}

// All of ICE and DTLS at session level, the fingerprint in lower case, setup:active.
func TestSessionLevelTransportCounts(t *testing.T) {
	r, answer := must(t, "made-up-larix-whip")
	if r.Ufrag != "Lrx1" || r.Setup != "passive" || !strings.HasPrefix(r.Fingerprints[0].Value, "0C:A8:") {
		t.Errorf("%+v", r)
	}
	wants(t, answer, "m=video 9 UDP/TLS/RTP/SAVPF 98 99 96 97", "a=fmtp:98 profile-level-id=640032;packetization-mode=1;level-asymmetry-allowed=1")
}

func TestPayloadTypesAreLookedUpOverTheBundle(t *testing.T) {
	r, _ := must(t, "chromium-156-whip-default")
	for pt, want := range map[uint8]string{96: "VP8", 97: "VP8 rtx", 111: "Opus", 45: "AV1", 46: "AV1 rtx", 63: "Opus", 120: "", 200: "", 0: ""} {
		m, c, rtx := r.ByPT(pt)
		got := ""
		if m != nil {
			got = c.Codec.String()
		}
		if rtx {
			got += " rtx"
		}
		if got != want {
			t.Errorf("%d is %q, want %q", pt, got, want)
		}
	}
	if n := testing.AllocsPerRun(100, func() { r.ByPT(111) }); n != 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
}

// Chromium plays mono unless the answer says that stereo comes.
func TestViewersAreToldOfStereo(t *testing.T) {
	r, err := negotiate.Subscribe(load(t, "chromium-156-whep.offer.sdp"), negotiate.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	l := local()
	l.Stereo = true
	wants(t, strings.ReplaceAll(string(r.Answer(l)), "\r\n", "\n"), "a=fmtp:111 minptime=10;useinbandfec=1;sprop-stereo=1")
}

// A Remote is kept for as long as its session: it must not hold the offer.
func TestRemoteDoesNotKeepTheOffer(t *testing.T) {
	o := load(t, "chromium-156-whep.offer.sdp")
	kept := make([]*negotiate.Remote, 200)
	heap := func() int { // what other tests left behind may go meanwhile
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	for i := range kept {
		r, err := negotiate.Subscribe(o, negotiate.DefaultConfig())
		if err != nil {
			t.Fatal(err)
		}
		kept[i] = r
	}
	// Half of what the offer alone takes is plenty for 16 codecs.
	if each := (heap() - before) / len(kept); each > len(o)*3/4 {
		t.Errorf("%d bytes are kept for each viewer", each)
	} else {
		t.Logf("%d bytes are kept for each viewer", each)
	}
	runtime.KeepAlive(kept)
}
