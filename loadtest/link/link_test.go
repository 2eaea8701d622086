package link_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/loadtest/link"
)

const answer = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\na=ice-lite\r\na=fingerprint:SHA-256 AA:BB\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=sendonly\r\na=setup:passive\r\na=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\n" +
	"a=rtpmap:111 opus/48000/2\r\na=candidate:1 1 tcp 1 10.0.0.1 9 typ host tcptype passive\r\na=candidate:2 1 udp 2 10.0.0.1 8189 typ host\r\na=candidate:3 2 udp 2 10.0.0.1 8190 typ host\r\n" +
	"a=candidate:4 1 UDP 2 name.local 8189 typ host\r\na=candidate:5 1 UDP 2 ::1 8189 typ host\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 102 103\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=sendonly\r\na=rtpmap:102 H264/90000\r\na=fmtp:102 profile-level-id=42e01f\r\na=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\n" +
	"a=extmap:4/sendonly urn:x attr\r\na=rid:0 recv\r\na=rid:1 recv\r\na=simulcast:recv 0;1\r\na=ssrc-group:FID 11 12\r\na=ssrc:11 cname:x\r\na=ssrc:11 msid:a b\r\na=ssrc:12 cname:x\r\n"

func TestAnAnswerGivesWhatAClientNeeds(t *testing.T) {
	a, err := link.ParseAnswer([]byte(answer))
	if err != nil {
		t.Fatal(err)
	}
	if a.Remote != (link.Credentials{Ufrag: "abcd", Pwd: "0123456789012345678901"}) || a.Algorithm != "sha-256" || a.Fingerprint != "AA:BB" || a.Setup != "passive" || !a.Lite {
		t.Errorf("transport: %+v", a)
	}
	// TCP, component 2 and names are no way for a light client.
	want := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:8189"), netip.MustParseAddrPort("[::1]:8189")}
	if len(a.Candidates) != 2 || a.Candidates[0] != want[0] || a.Candidates[1] != want[1] || a.Lines != 5 {
		t.Errorf("candidates: %v of %d", a.Candidates, a.Lines)
	}
	v := a.First("video")
	f, ok := v.Find("h264")
	if !ok || f.PT != 102 || f.Clock != 90000 || v.Repair(102) != 103 || v.Extensions["urn:x"] != 4 || v.FID[11] != 12 || len(v.SSRCs) != 2 || v.Simulcast != "recv 0;1" || len(v.RIDs) != 2 {
		t.Errorf("video: %+v", v)
	}
}

func TestAnAnswerWithoutATransportIsAnError(t *testing.T) {
	for _, cut := range []string{"a=ice-ufrag:abcd\r\n", "a=fingerprint:SHA-256 AA:BB\r\n"} {
		if _, err := link.ParseAnswer([]byte(strings.Replace(answer, cut, "", 1))); err == nil {
			t.Errorf("an answer without %q was taken", cut)
		}
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte(answer))
	f.Add([]byte("v=0\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := link.ParseAnswer(b)
		if err == nil && (a.Remote.Ufrag == "" || a.Fingerprint == "") {
			t.Error("an answer without credentials or fingerprint was taken")
		}
	})
}

func TestChecksAreAnsweredAndBadOnesAreNot(t *testing.T) {
	client, server := link.NewCredentials(), link.NewCredentials()
	a, b := link.NewChecker(client, server), link.NewChecker(server, client)
	from := netip.MustParseAddrPort("127.0.0.1:4000")
	request, err := a.Request()
	if err != nil {
		t.Fatal(err)
	}
	reply, answered := b.Read(request, from)
	if reply == nil || answered {
		t.Fatal("a good check got no reply")
	}
	if out, answered := a.Read(reply, from); out != nil || !answered {
		t.Error("the reply to our check did not count")
	}
	forged := link.NewChecker(link.NewCredentials(), link.NewCredentials())
	if out, _ := forged.Read(request, from); out != nil {
		t.Error("a check with a wrong password was answered")
	}
	request[30] ^= 1
	if out, _ := b.Read(request, from); out != nil {
		t.Error("a changed check was answered")
	}
	// A reply to a check that was never sent is a forgery, or from before a restart.
	stranger := link.NewChecker(client, server)
	if _, answered := stranger.Read(reply, from); answered {
		t.Error("a reply to somebody else's check counted")
	}
}

func FuzzCheckerRead(f *testing.F) {
	c := link.NewChecker(link.NewCredentials(), link.NewCredentials())
	request, _ := c.Request()
	f.Add(request)
	f.Fuzz(func(t *testing.T, b []byte) {
		if reply, answered := c.Read(b, netip.MustParseAddrPort("[::1]:1")); answered && reply != nil {
			t.Error("one message was both")
		}
	})
}

func TestDatagramsAreToldApart(t *testing.T) {
	packet := func(a, b byte) []byte { return append([]byte{a, b}, make([]byte, 12)...) }
	for want, b := range map[link.Class][]byte{link.STUN: packet(0, 1), link.DTLS: packet(22, 254), link.RTP: packet(0x80, 0x80|111), link.RTCP: packet(0x80, 200)} {
		if got := link.Classify(b); got != want {
			t.Errorf("%v: %d, want %d", b[:2], got, want)
		}
	}
	if link.Classify([]byte{0x80}) != link.Unknown || link.Classify(packet(70, 0)) != link.Unknown {
		t.Error("what is nothing was taken for something")
	}
}

func TestARefusalSaysWhatTheServerSaid(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "not today", http.StatusTeapot) }))
	defer server.Close()
	_, err := link.Post(t.Context(), link.Endpoint{Client: link.NewClient(), URL: server.URL}, []byte("v=0"))
	if err == nil || !strings.Contains(err.Error(), "418") || !strings.Contains(err.Error(), "not today") {
		t.Errorf("got %v", err)
	}
}

func TestLocationsAreResolved(t *testing.T) {
	for location, want := range map[string]string{"/whip/a/1?r=1": "http://h:1/whip/a/1?r=1", "http://o/x": "http://o/x", "1": "http://h:1/whip/1"} {
		if got, err := link.Resolve("http://h:1/whip/a", location); err != nil || got != want {
			t.Errorf("%q: %q, %v", location, got, err)
		}
	}
	if _, err := link.Resolve("http://h", ""); err == nil {
		t.Error("no Location was taken")
	}
}

// A DELETE that is lost to a rate limit would leave a session on the server.
func TestADeleteIsRepeatedWhenTheServerSaysSo(t *testing.T) {
	n := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			w.Header().Set("Location", "/1")
			w.WriteHeader(http.StatusCreated)
		case n == 0:
			n++
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			n++
		}
	}))
	defer server.Close()
	r, err := link.Post(t.Context(), link.Endpoint{Client: link.NewClient(), URL: server.URL}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := r.Delete(t.Context()); err != nil || status != http.StatusOK || n != 2 {
		t.Errorf("%d after %d DELETEs, %v", status, n, err)
	}
}
