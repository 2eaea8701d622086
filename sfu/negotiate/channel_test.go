package negotiate_test

import (
	"strings"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/negotiate"
)

const channelLine = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:data\r\na=sctp-port:5000\r\n"

// withChannel is a viewer's offer of a picture and data channels.
func withChannel(line string) []byte {
	video := "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:96 VP8/90000\r\n"
	return []byte("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 data\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:actpass\r\n" +
		"a=fingerprint:sha-256 " + strings.Repeat("AB:", 31) + "AB\r\n" + video + line)
}

func TestDataChannelsAreTakenWhereWanted(t *testing.T) {
	swap := func(old, fresh string) string { return strings.Replace(channelLine, old, fresh, 1) }
	for _, c := range []struct {
		what, line string
		taken      bool
	}{
		{"as browsers offer it", channelLine, true},
		{"over TCP", swap("UDP/DTLS", "TCP/DTLS"), true},
		{"in the old form", swap("webrtc-datachannel", "5000"), false},
		{"without DTLS", swap("UDP/DTLS/SCTP", "SCTP"), false},
		{"switched off", swap("m=application 9", "m=application 0"), false},
		{"out of the bundle", swap("a=mid:data", "a=mid:else"), false},
	} {
		for _, wanted := range []bool{true, false} {
			nc := negotiate.DefaultConfig()
			nc.Channels = wanted
			r, err := negotiate.Subscribe(withChannel(c.line), nc)
			if err != nil {
				t.Fatalf("%s: %v", c.what, err)
			}
			answer := string(r.Answer(negotiate.Local{Ufrag: "efgh", Pwd: "efghijklmnopqrstuvwxyz", Fingerprint: strings.Repeat("CD:", 31) + "CD", Full: true}))
			_, section, _ := strings.Cut(answer, "m=application ")
			taken := c.taken && wanted
			if r.Channels() != taken || strings.HasPrefix(section, "9 ") != taken || strings.Contains(section, "a=sctp-port:5000\r\na=max-message-size:16384\r\n") != taken ||
				strings.Contains(answer, "a=group:BUNDLE 0 data\r\n") != taken || strings.Contains(answer, "a=ice-lite") {
				t.Errorf("%s, wanted %v: %v\n%s", c.what, wanted, r.Channels(), answer)
			}
		}
	}
	nc := negotiate.DefaultConfig()
	nc.Channels = true
	two := strings.Replace(string(withChannel(channelLine+strings.Replace(channelLine, "a=mid:data", "a=mid:more", 1))), "BUNDLE 0 data", "BUNDLE 0 data more", 1)
	if r, err := negotiate.Subscribe([]byte(two), nc); err != nil || !strings.Contains(string(r.Answer(negotiate.Local{})), "a=group:BUNDLE 0 data\r\n") {
		t.Errorf("of two one is taken: %v", err)
	}
	alone := strings.Replace(string(withChannel(channelLine)), "m=video 9", "m=video 0", 1)
	if _, err := negotiate.Subscribe([]byte(alone), nc); err == nil {
		t.Error("data channels alone were taken")
	}
	if _, err := negotiate.Publish([]byte(strings.Replace(string(withChannel(channelLine)), "recvonly", "sendonly", 1)), nc); err == nil || !strings.Contains(err.Error(), "application") {
		t.Errorf("a publisher's: %v", err)
	}
	if r, _ := negotiate.Subscribe(withChannel(channelLine), nc); r.ByMID("data") != nil && r.ByMID("data").Kind == media.Video {
		t.Error("data channels are no picture")
	}
}
