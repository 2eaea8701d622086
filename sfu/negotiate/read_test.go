package negotiate_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/negotiate"
)

// one reads an offer of one m-line as a publisher's.
func one(t *testing.T, line string) (*negotiate.Media, string) {
	t.Helper()
	r, err := negotiate.Publish(offer(line), negotiate.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	return &r.Media[0], strings.ReplaceAll(string(r.Answer(local())), "\r\n", "\n")
}

// RFC 6184 table 5, and what is in use beyond it.
func TestH264ProfilesAreNamed(t *testing.T) {
	for id, want := range map[string]string{
		"42e01f": "Constrained Baseline", "42c01e": "Constrained Baseline", "4d801f": "Constrained Baseline", "58c01f": "Constrained Baseline",
		"42001f": "Baseline", "588015": "Baseline", "4D0032": "Main", "580015": "Extended", "640028": "High", "640c1f": "Constrained High",
		"6e0028": "High 10", "6e1028": "High 10 Intra", "7a0028": "High 4:2:2", "7a1028": "High 4:2:2 Intra", "f4001f": "High 4:4:4 Predictive",
		"f41028": "High 4:4:4 Intra", "2c1028": "CAVLC 4:4:4 Intra", "010203": "", "": "Baseline",
	} {
		m, _ := one(t, "video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1;profile-level-id="+id)
		if got := m.Codecs[0].Profile; got != want {
			t.Errorf("%s is %q, want %q", id, got, want)
		}
	}
	for _, id := range []string{"42e0", "42e01f0", "xyz012"} {
		_, err := negotiate.Publish(offer("video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 profile-level-id="+id), negotiate.DefaultConfig())
		if !errors.Is(err, media.ErrUnsupported) {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// A decoder of more takes what needs less; of several the exact one is chosen.
func TestMatchChoosesTheNearestProfile(t *testing.T) {
	h264 := func(ids ...string) *negotiate.Media {
		line := "video 9 UDP/TLS/RTP/SAVPF 1 2 3"
		for i, id := range ids {
			line += strings.ReplaceAll("\r\na=rtpmap:N H264/90000\r\na=fmtp:N packetization-mode=1;profile-level-id="+id, "N", string(rune('1'+i)))
		}
		m, _ := one(t, line)
		return m
	}
	for _, c := range []struct {
		stream  string
		viewers []string
		want    uint8
	}{
		{"42e01f", []string{"640028", "42e028", "4d0028"}, 2},
		{"42e01f", []string{"f4001f", "64001f"}, 1},
		{"4d001f", []string{"42e01f", "64001f"}, 2},
		{"42001f", []string{"42e01f", "58001f"}, 2},
		{"64001f", []string{"4d001f", "6e001f"}, 2},
		{"640c1f", []string{"42e01f", "7a001f"}, 2},
		{"64001f", []string{"42e01f", "4d001f"}, 1}, // none decodes it by name: sent all the same
	} {
		got := h264(c.viewers...).Match(media.H264, "packetization-mode=1;profile-level-id="+c.stream)
		if got == nil || got.PT != c.want {
			t.Errorf("%s to %v: %+v, want %d", c.stream, c.viewers, got, c.want)
		}
	}
	m, _ := one(t, "video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 H265/90000\r\na=fmtp:96 profile-id=2")
	if m.Match(media.H265, "") == nil || m.Match(media.H265, "profile-id=4") != nil {
		t.Error("a Main 10 decoder takes Main, and not range extensions")
	}
}

func TestExtensionIDs(t *testing.T) {
	const mid, cc = " urn:ietf:params:rtp-hdrext:sdes:mid", " http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
	for _, c := range []struct{ name, lines, want string }{
		{"one byte", "extmap:14" + mid, "a=extmap:14" + mid},
		{"two bytes want the mixed form", "extmap:16" + mid, ""},
		{"two bytes", "extmap:16" + mid + "|extmap-allow-mixed", "a=extmap:16" + mid},
		{"15 is reserved", "extmap:15" + mid + "|extmap-allow-mixed", ""},
		{"zero", "extmap:0" + mid, ""},
		{"the range for too many", "extmap:4096" + mid, ""},
		{"inactive", "extmap:3/inactive" + mid, ""},
		{"the publisher only receives it", "extmap:3/recvonly" + mid, ""},
		{"the publisher only sends it", "extmap:3/sendonly" + mid, "a=extmap:3/recvonly" + mid},
		{"both ways", "extmap:3/sendrecv" + mid, "a=extmap:3/sendrecv" + mid},
		{"with attributes", "extmap:3" + mid + " vad=on", "a=extmap:3" + mid},
		{"the first id of two", "extmap:3" + mid + "|extmap:4" + mid, "a=extmap:3" + mid},
		{"the first meaning of two", "extmap:3" + mid + "|extmap:3" + cc, "a=extmap:3" + mid},
	} {
		_, answer := one(t, video+"\r\na="+strings.ReplaceAll(c.lines, "|", "\r\na="))
		if n := strings.Count(answer, "a=extmap:"); c.want == "" && n > 0 || c.want != "" && n != 1 {
			t.Errorf("%s: %d extensions were accepted", c.name, n)
		}
		if c.want != "" {
			wants(t, answer, c.want)
		}
	}
	// Session level counts for each m-line, and an id means one thing in the bundle.
	r, err := negotiate.Publish(swap("a=group", "a=extmap:2"+mid+"\r\na=group", offer(audio+"\r\na=extmap:5"+cc, video+"\r\na=extmap:5 urn:3gpp:video-orientation")), negotiate.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	if a, v := r.Audio().Ext, r.Video().Ext; a.MID != 2 || v.MID != 2 || a.TransportCC != 5 || v.Orientation != 0 {
		t.Errorf("audio %+v video %+v", a, v)
	}
}

// Transport-wide feedback without its extension has nothing to report on.
func TestFeedback(t *testing.T) {
	m, answer := one(t, video+"\r\na=rtcp-fb:* nack\r\na=rtcp-fb:96 transport-cc\r\na=rtcp-fb:96 goog-remb\r\na=rtcp-fb:96 trr-int 100")
	if c := m.Codecs[0]; !c.NACK || c.TransportCC || !c.REMB || c.PLI || c.FIR {
		t.Errorf("%+v", c)
	}
	lacks(t, answer, "trr-int", "transport-cc")
}

// In a bundle ICE and DTLS may stand in the leading m-line alone, even when
// that one is refused (RFC 9143 section 7.1.3).
func TestTransportOfTheLeadingMediaCounts(t *testing.T) {
	const transport = "a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:passive\r\na=fingerprint:sha-256 "
	o := string(offer("application 9 UDP/DTLS/SCTP webrtc-datachannel", strings.Replace(video, " 9 ", " 0 ", 1)+"\r\na=bundle-only"))
	print := strings.Repeat("0C:", 31) + "0C\r\n"
	o = strings.Replace(o, transport[:strings.Index(transport, "a=setup")]+"a=setup:actpass\r\na=fingerprint:sha-256 "+print, "", 1)
	o = strings.Replace(o, "a=mid:0\r\n", "a=mid:0\r\n"+transport+print, 1)
	o = strings.Replace(o, "a=bundle-only\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\n", "a=bundle-only\r\nc=IN IP4 0.0.0.0\r\n", 1)
	r, err := negotiate.Subscribe([]byte(o), negotiate.DefaultConfig())
	if err != nil {
		t.Fatalf("%v\n%s", err, o)
	}
	if r.Ufrag != "abcd" || r.Setup != "active" || r.Video() == nil || r.ByMID("0") != nil {
		t.Errorf("%+v", r)
	}
	holds(t, []byte(o), r, r.Answer(local()))
}

func TestFingerprints(t *testing.T) {
	long := "a=fingerprint:SHA-512 " + strings.Repeat("ab:", 63) + "ab\r\na=fingerprint:md5 AA\r\na=fingerprint:sha-384 " + strings.Repeat("CD:", 47) + "CD\r\na=fingerprint"
	r, err := negotiate.Publish(swap("a=fingerprint", long, offer(video)), negotiate.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range r.Fingerprints {
		got = append(got, f.Algorithm+" "+f.Value[:2])
	}
	if strings.Join(got, ",") != "sha-512 AB,sha-384 CD,sha-256 0C" {
		t.Errorf("read %v", got)
	}
	if _, err := negotiate.Publish(swap("a=fingerprint", strings.Repeat("a=fingerprint:x\r\n", 9)+"a=fingerprint", offer(video)), negotiate.DefaultConfig()); !errors.Is(err, media.ErrUnsupported) {
		t.Errorf("too many fingerprints: %v", err)
	}
}

// Firefox announces an SSRC per encoding; only the packets tell which is which.
func TestSimulcastAnnouncesNoSSRC(t *testing.T) {
	m, _ := one(t, video+rid+"\r\na=rid:a send\r\na=rid:b send\r\na=simulcast:send a;b\r\na=ssrc:1 cname:x\r\na=ssrc-group:FID 1 2")
	if m.SSRC != 0 || m.RTXSSRC != 0 || len(m.RIDs) != 2 {
		t.Errorf("%+v", m)
	}
	if m, _ = one(t, video+"\r\na=ssrc:99999999999 cname:x\r\na=ssrc:7 cname:x"); m.SSRC != 7 {
		t.Errorf("%+v", m)
	}
}

// A viewer without RTX, or a stream without SSRC, is announced as it is.
func TestViewerStreamsWithoutRTX(t *testing.T) {
	r, err := negotiate.Subscribe(offer(audio, video), negotiate.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	answer := string(r.Answer(local()))
	lacks(t, answer, "FID", "2002")
	l := local()
	l.SSRC, l.MSID = nil, ""
	lacks(t, string(r.Answer(l)), "a=ssrc", "a=msid")
}
