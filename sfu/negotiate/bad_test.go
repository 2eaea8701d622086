package negotiate_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/negotiate"
)

const head = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n" +
	"a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\na=fingerprint:sha-256 "

// offer writes a small offer; each m-line is given by what follows "m=".
func offer(lines ...string) []byte {
	b := head + strings.Repeat("0C:", 31) + "0C\r\n"
	for i, l := range lines {
		b += "m=" + l + "\r\nc=IN IP4 0.0.0.0\r\na=rtcp-mux\r\na=mid:" + fmt.Sprint(i) + "\r\n"
	}
	return []byte(b)
}

const (
	audio = "audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\na=sendrecv"
	video = "video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\na=sendrecv"
)

func swap(from, to string, in []byte) []byte {
	if !strings.Contains(string(in), from) {
		panic("the offer has no " + from)
	}
	return []byte(strings.ReplaceAll(string(in), from, to))
}

// Each offer that cannot be served is refused with its status and a sentence
// that names what to change.
func TestTrap35_BadOffersAreRefusedInWords(t *testing.T) {
	good := offer(audio, video)
	for name, c := range map[string]struct {
		offer        []byte
		status       error
		says         string
		viewerServed bool // a viewer's offer is taken all the same
	}{
		"empty":                   {nil, media.ErrBadOffer, "v=0", false},
		"json":                    {[]byte(`{"type":"offer"}`), media.ErrBadOffer, "v=0", false},
		"one megabyte":            {[]byte(string(good) + strings.Repeat("a=x:y\r\n", 150_000)), media.ErrBadOffer, "65536", false},
		"500 m-lines":             {offer(strings.Split(strings.Repeat(video+"|", 499)+video, "|")...), media.ErrUnsupported, "16 m-lines", false},
		"no m-line":               {offer(), media.ErrBadOffer, "no m-line", false},
		"a line without a type":   {[]byte(string(good) + "hello\r\n"), media.ErrBadOffer, "line 22", false},
		"a carriage return":       {swap("a=mid:0", "a=mid:0\ra=x:", good), media.ErrBadOffer, "form a=value", false},
		"broken m-line":           {offer("video"), media.ErrBadOffer, "media line", false},
		"bad payload type":        {offer("video 9 UDP/TLS/RTP/SAVPF x"), media.ErrBadOffer, "up to 127", false},
		"payload type too large":  {offer("video 9 UDP/TLS/RTP/SAVPF 128"), media.ErrBadOffer, "up to 127", false},
		"too many payload types":  {offer("video 9 UDP/TLS/RTP/SAVPF " + strings.Repeat("96 ", 257)), media.ErrUnsupported, "256 payload types", false},
		"too many extensions":     {offer(video + strings.Repeat("\r\na=extmap:1 urn:x", 33)), media.ErrUnsupported, "32 header extensions", false},
		"extension without a URI": {offer(video + "\r\na=extmap:1"), media.ErrBadOffer, "extmap", false},
		"too many encodings":      {offer(video + strings.Repeat("\r\na=rid:x send", 9)), media.ErrUnsupported, "8 simulcast", false},
		"bad rid":                 {offer(video + "\r\na=rid:ü send"), media.ErrBadOffer, "a=rid", false},
		"long restrictions":       {offer(video + "\r\na=rid:a send pt=" + strings.Repeat("96,", 100)), media.ErrUnsupported, "restrictions", false},
		"unknown codecs":          {offer("video 9 UDP/TLS/RTP/SAVPF 96 97\r\na=rtpmap:96 theora/90000\r\na=rtpmap:97 rtx/90000"), media.ErrUnsupported, "theora, rtx); offer one of H264, AV1", false},
		"PCMU only":               {offer("audio 9 UDP/TLS/RTP/SAVPF 0\r\na=rtpmap:0 PCMU/8000"), media.ErrUnsupported, "offer one of Opus", false},
		"no rtpmap":               {offer("video 9 UDP/TLS/RTP/SAVPF 96"), media.ErrUnsupported, "none with a=rtpmap", false},
		"interleaved H264":        {offer("video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=2"), media.ErrUnsupported, "H264", false},
		"RTCP's payload types":    {offer("video 9 UDP/TLS/RTP/SAVPF 72\r\na=rtpmap:72 VP8/90000"), media.ErrUnsupported, "VP8", false},
		"plain RTP":               {swap("UDP/TLS/RTP/SAVPF", "RTP/AVP", good), media.ErrUnsupported, "UDP/TLS/RTP/SAVPF", false},
		"no bundle":               {swap("a=group:BUNDLE 0 1\r\n", "", good), media.ErrUnsupported, "BUNDLE", false},
		"video out of the bundle": {swap("BUNDLE 0 1", "BUNDLE 0", good), media.ErrUnsupported, "BUNDLE", true},
		"no rtcp-mux":             {swap("a=rtcp-mux\r\n", "", good), media.ErrUnsupported, "rtcp-mux", false},
		"same mid":                {swap("a=mid:1", "a=mid:0", good), media.ErrBadOffer, "a=mid:0", false},
		"mid with a space":        {swap("a=mid:1", "a=mid:1 0", good), media.ErrBadOffer, "a=mid", false},
		"inactive":                {swap("sendrecv", "inactive", good), media.ErrUnsupported, "inactive", false},
		"recvonly":                {swap("sendrecv", "recvonly", good), media.ErrUnsupported, "must be sendonly", true},
		"session level inactive":  {swap("a=sendrecv\r\n", "", swap("a=group", "a=inactive\r\na=group", good)), media.ErrUnsupported, "inactive", false},
		"switched off":            {swap("video 9", "video 0", good), media.ErrUnsupported, "port is 0", true},
		"data channel":            {offer(video, "application 9 UDP/DTLS/SCTP webrtc-datachannel"), media.ErrUnsupported, "m=application (mid 1)", true},
		"two videos":              {offer(video, video), media.ErrUnsupported, "one video", true},
		"five audios":             {choir(audio, audio, audio, audio, audio), media.ErrUnsupported, "4 audio", true},
		"ice-lite":                {swap("a=group", "a=ice-lite\r\na=group", good), media.ErrUnsupported, "ice-lite", false},
		"no ufrag":                {swap("a=ice-ufrag:abcd", "a=x", good), media.ErrBadOffer, "ice-ufrag", false},
		"short pwd":               {swap("mnopqrstuvwx", "", good), media.ErrBadOffer, "ice-pwd", false},
		"no fingerprint":          {swap("a=fingerprint", "a=x", good), media.ErrBadOffer, "fingerprint", false},
		"weak fingerprint":        {swap("sha-256", "sha-1", good), media.ErrUnsupported, "sha-256", false},
		"short fingerprint":       {swap("0C:0C", "0C", good), media.ErrBadOffer, "32 bytes", false},
		"colons displaced":        {swap("0C:0C", "0C0:C", good), media.ErrBadOffer, "32 bytes", false},
		"bad setup":               {swap("actpass", "holdconn", good), media.ErrBadOffer, "holdconn", false},
		"one type, two meanings":  {swap("96", "111", good), media.ErrBadOffer, "payload type 111", true},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := negotiate.Publish(c.offer, negotiate.DefaultConfig())
			if !errors.Is(err, c.status) || !strings.Contains(err.Error(), c.says) || len(err.Error()) > 400 {
				t.Errorf("a publisher gets %v, want %v that says %q", err, c.status, c.says)
			}
			r, err := negotiate.Subscribe(c.offer, negotiate.DefaultConfig())
			if (err == nil) != c.viewerServed {
				t.Errorf("a viewer gets %v", err)
			}
			if err == nil {
				holds(t, c.offer, r, r.Answer(local()))
			}
		})
	}
}

func TestViewersMustReceive(t *testing.T) {
	_, err := negotiate.Subscribe(swap("sendrecv", "sendonly", offer(audio, video)), negotiate.DefaultConfig())
	if !errors.Is(err, media.ErrUnsupported) || !strings.Contains(err.Error(), "must be recvonly") {
		t.Errorf("got %v", err)
	}
}

// A viewer without the stream's codec still hears it.
func TestViewerWithoutACommonVideoCodecGetsAudio(t *testing.T) {
	o := offer("video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 theora/90000", audio)
	r, err := negotiate.Subscribe(o, negotiate.DefaultConfig())
	if err != nil || r.Video() != nil || r.Audio() == nil || !r.Media[0].Rejected {
		t.Fatalf("%+v %v", r, err)
	}
	answer := strings.ReplaceAll(string(r.Answer(local())), "\r\n", "\n")
	wants(t, answer, "a=group:BUNDLE 1", "m=video 0 UDP/TLS/RTP/SAVPF 96", "a=msid:sluice audio")
	lacks(t, answer, "theora", "2001")
	if audio := answer[strings.Index(answer, "m=audio"):]; !strings.Contains(audio, "a=candidate") {
		t.Error("the candidates must stand in the m-line that leads the bundle")
	}
	holds(t, o, r, r.Answer(local()))
}

// Candidates of the offer are never read: mDNS names and private addresses in
// them reach nobody.
func TestCandidatesOfTheOfferAreIgnored(t *testing.T) {
	o := offer(audio + "\r\na=candidate:1 1 udp 1 10.0.0.1 9 typ host\r\na=candidate:2 1 udp 1 x.local 9 typ host\r\na=candidate:nonsense")
	r, err := negotiate.Publish(o, negotiate.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	lacks(t, string(r.Answer(local())), "10.0.0.1", ".local", "nonsense")
}

func TestSingleMediaNeedsNoBundle(t *testing.T) {
	o := swap("a=group:BUNDLE 0 1\r\n", "", swap("a=mid:0\r\n", "", offer(video)))
	r, err := negotiate.Publish(o, negotiate.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	lacks(t, string(r.Answer(local())), "BUNDLE", "a=mid")
	holds(t, o, r, r.Answer(local()))
}
