package publish

import (
	_ "embed" // the recorded offers
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/source"
)

// The offers as the clients sent them, with identities, SSRCs and what the
// encoder says of itself cut out.
var (
	//go:embed offers/obs.sdp
	obsOffer string
	//go:embed offers/obs3.sdp
	obsSimulcastOffer string
	//go:embed offers/ffmpeg.sdp
	ffmpegOffer string
	//go:embed offers/gstreamer.sdp
	gstreamerOffer string
)

// Identity is what an offer says of who sends it.
type Identity struct {
	Local                link.Credentials
	Fingerprint          string
	Audio, Video, Repair uint32 // SSRCs; layers count on from Video
}

// Offer returns the SDP that a light shape POSTs.
func Offer(shape Shape, id Identity, m *source.Media) ([]byte, error) {
	var text string
	switch {
	case shape == OBS && len(m.Layers) > 1:
		text = obsSimulcastOffer
	case shape == OBS:
		text = obsOffer
	case shape == FFmpeg:
		text = ffmpegOffer
	case shape == GStreamer:
		text = gstreamerOffer
	default:
		return nil, fmt.Errorf("make an offer: there is no recorded one of shape %q", shape)
	}
	top := m.Layers[len(m.Layers)-1]
	u := func(n uint32) string { return strconv.FormatUint(uint64(n), 10) }
	text = strings.NewReplacer("\n", "\r\n", "{ufrag}", id.Local.Ufrag, "{pwd}", id.Local.Pwd, "{fingerprint}", id.Fingerprint,
		"{audio}", u(id.Audio), "{video}", u(id.Video), "{rtx}", u(id.Repair),
		"{profile}", top.Profile, "{sprop}", sprop(top.Frames[0])).Replace(text)
	return []byte(text), nil
}

// sprop writes the parameter sets as RFC 6184 section 8.1 does.
func sprop(f source.Frame) string {
	var sets []string
	for _, nal := range f.NALs {
		if kind := nal[0] & 0x1f; kind == 7 || kind == 8 {
			sets = append(sets, base64.StdEncoding.EncodeToString(nal))
		}
	}
	return strings.Join(sets, ",")
}

// fragments are the two trickle PATCHes of GStreamer's client: the m-line says
// audio and RTP/AVP, the mid says video0, and most candidates are useless.
func fragments(local link.Credentials, port int) [][]byte {
	head := "a=ice-ufrag:" + local.Ufrag + "\r\na=ice-pwd:" + local.Pwd + "\r\nm=audio 9 RTP/AVP 0\r\na=mid:video0\r\n"
	lines := []string{
		"a=candidate:1 1 UDP 2015363327 127.0.0.1 " + strconv.Itoa(port) + " typ host",
		"a=candidate:2 1 TCP 1015021823 127.0.0.1 9 typ host tcptype active",
		"a=candidate:3 1 TCP 1010827519 127.0.0.1 42771 typ host tcptype passive",
		"a=candidate:4 1 UDP 2015363583 fe80::fc:ff:fe00:1 59073 typ host",
	}
	return [][]byte{
		[]byte(head + strings.Join(lines, "\r\n") + "\r\n"),
		[]byte(head + "a=end-of-candidates\r\n"),
	}
}
