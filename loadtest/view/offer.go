package view

import (
	"math/rand/v2"
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/source"
)

// Payload types of a viewer's offer.
const (
	audioPT  = 111
	videoPT  = 102
	repairPT = 103
)

// Wishes are what a light viewer asks for beyond media.
type Wishes struct {
	RTX      bool // retransmission in a stream of its own (RFC 4588)
	Feedback bool // transport-wide sequence numbers, to report arrivals
}

// Offer returns the SDP of a light viewer: Opus and H264, NACK and PLI,
// abs-capture-time, what it wishes for, no candidates (its first check tells
// the server where it is).
func Offer(local link.Credentials, fingerprint string, w Wishes) []byte {
	common := []string{"c=IN IP4 0.0.0.0", "a=ice-ufrag:" + local.Ufrag, "a=ice-pwd:" + local.Pwd, "a=fingerprint:sha-256 " + fingerprint,
		"a=setup:actpass", "a=recvonly", "a=rtcp-mux", "a=rtcp-mux-only", "a=rtcp-rsize", "a=extmap:1 " + source.CaptureURI}
	audio, video := []string{}, []string{}
	if w.Feedback {
		common = append(common, "a=extmap:3 "+wideURI)
		audio, video = append(audio, "a=rtcp-fb:111 transport-cc"), append(video, "a=rtcp-fb:102 transport-cc")
	}
	formats := "102"
	if w.RTX {
		formats = "102 103"
		video = append(video, "a=rtpmap:103 rtx/90000", "a=fmtp:103 apt=102")
	}
	lines := []string{"v=0", "o=- " + strconv.FormatUint(rand.Uint64()>>2, 10) + " 1 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1", "a=msid-semantic: WMS", //nolint:gosec // chance, not secrets
		"m=audio 9 UDP/TLS/RTP/SAVPF 111"}
	lines = append(append(append(lines, common...), "a=mid:0", "a=rtpmap:111 opus/48000/2", "a=fmtp:111 minptime=10;useinbandfec=1"), audio...)
	lines = append(append(append(lines, "m=video 9 UDP/TLS/RTP/SAVPF "+formats), common...), "a=mid:1", "a=rtpmap:102 H264/90000",
		"a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", "a=rtcp-fb:102 nack", "a=rtcp-fb:102 nack pli", "a=rtcp-fb:102 ccm fir")
	return []byte(strings.Join(append(lines, video...), "\r\n") + "\r\n")
}
