package relay_test

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/loadtest/impair/relay"
	"github.com/sluice-live/sluice/loadtest/link"
)

var stand = netip.MustParseAddrPort("127.0.0.1:4567")

const answer = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\na=ice-lite\r\n" +
	"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n" +
	"a=candidate:1 1 tcp 1 10.0.0.1 8189 typ host tcptype passive\r\n" +
	"a=candidate:2 1 udp 2130706431 2001:db8::1 8189 typ host\r\n" +
	"a=candidate:3 1 UDP 1694498815 10.0.0.1 8189 typ srflx raddr 192.168.0.1 rport 8189\r\n" +
	"a=candidate:3 2 UDP 1694498814 10.0.0.1 8190 typ host\r\n" +
	"a=end-of-candidates\r\n" +
	"m=video 9 UDP/TLS/RTP/SAVPF 102\r\na=mid:1\r\na=candidate:9 1 udp 7 name.local 8189 typ host\r\na=candidate:4 1 udp 5 10.0.0.1 8189 typ host\r\n" +
	"m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"

func TestAnAnswerLeadsToTheRelayAndNowhereElse(t *testing.T) {
	server, err := relay.Candidate([]byte(answer))
	if err != nil || server != netip.MustParseAddrPort("10.0.0.1:8189") {
		t.Errorf("the server is %v, %v", server, err)
	}
	want := "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\na=ice-lite\r\n" +
		"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\n" +
		"a=candidate:2 1 udp 2130706431 127.0.0.1 4567 typ host\r\n" +
		"a=end-of-candidates\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 102\r\na=mid:1\r\na=candidate:4 1 udp 5 127.0.0.1 4567 typ host\r\n" +
		"m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\n"
	if got := string(relay.Rewrite([]byte(answer), stand)); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestAnAnswerWithoutAUDPAddressIsRefused(t *testing.T) {
	for _, s := range []string{"", "v=0\r\n", "a=candidate:1 1 tcp 1 10.0.0.1 8189 typ host\r\n", "a=candidate:1 1 udp 1 name.local 8189 typ host\r\n", "a=candidate:1 1 udp 1 10.0.0.1 0 typ host\r\n"} {
		if _, err := relay.Candidate([]byte(s)); !errors.Is(err, relay.ErrNoCandidate) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestAnOfferTellsNoAddress(t *testing.T) {
	got := string(relay.Strip([]byte(answer)))
	if strings.Contains(got, "candidate:") || !strings.Contains(got, "a=end-of-candidates\r\nm=video") {
		t.Errorf("got\n%s", got)
	}
}

func FuzzRewrite(f *testing.F) {
	f.Add([]byte(answer))
	f.Add([]byte("a=ice-ufrag:x\r\na=candidate:1 1 udp 1 10.0.0.1 1 typ host\n"))
	f.Add([]byte("a=candidate:"))
	f.Add([]byte("a=candidate: 0 1 udp 0 0:: 1 0 00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		out := relay.Rewrite(b, stand)
		plain := func(b []byte) (lines []byte) {
			for line := range bytes.Lines(b) {
				if !bytes.HasPrefix(line, []byte("a=candidate:")) {
					lines = append(lines, line...)
				}
			}
			return lines
		}
		if !bytes.Equal(plain(b), plain(out)) {
			t.Fatal("more than candidates was changed")
		}
		for line := range strings.Lines(string(out)) {
			if v, ok := strings.CutPrefix(strings.TrimSpace(line), "a=candidate:"); ok && strings.HasPrefix(line, "a=candidate:") {
				if addr, ok := link.ParseCandidate(v); !ok || addr != stand {
					t.Fatalf("a way past the relay: %q", line)
				}
			}
		}
		if !bytes.Equal(relay.Strip(b), plain(b)) {
			t.Fatal("more or less than candidates was taken out")
		}
		if again := relay.Rewrite(out, stand); !bytes.Equal(again, out) {
			t.Fatalf("the second time gives\n%s\nafter\n%s", again, out)
		}
	})
}
