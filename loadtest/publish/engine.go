package publish

import (
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/sluice-live/sluice/loadtest/source"
)

var (
	opus = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"}
	h264 = webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000,
		SDPFmtpLine:  "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
		RTCPFeedback: []webrtc.RTCPFeedback{{Type: "goog-remb"}, {Type: "ccm", Parameter: "fir"}, {Type: "nack"}, {Type: "nack", Parameter: "pli"}}}
)

// maxDatagram is what Pion's ICE agent reads at the most (pion/ice, receiveMTU).
const maxDatagram = 8192

func newPeerConnection(loss float64, t *tap) (*webrtc.PeerConnection, error) {
	m, err := newEngine()
	if err != nil {
		return nil, err
	}
	i := &interceptor.Registry{}
	if loss > 0 {
		i.Add(lossy{loss, t}) // first means nearest to the wire: below the NACK responder's history
	}
	if err := errors.Join(webrtc.ConfigureNack(m, i), webrtc.ConfigureRTCPReports(i), webrtc.ConfigureTWCCSender(m, i), webrtc.ConfigureTWCCHeaderExtensionSender(m, i)); err != nil {
		return nil, fmt.Errorf("register interceptors: %w", err)
	}
	s := webrtc.SettingEngine{}
	// A server may gather many viewers' feedback into one datagram that only
	// loopback carries whole: what is too long for the buffer would be lost.
	s.SetReceiveMTU(maxDatagram)
	s.SetIncludeLoopbackCandidate(true)
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(i), webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, fmt.Errorf("make the PeerConnection: %w", err)
	}
	return pc, nil
}

// newEngine knows Opus, H264 and its RTX, simulcast and the capture time.
func newEngine() (*webrtc.MediaEngine, error) {
	m := &webrtc.MediaEngine{}
	audio := webrtc.RTPCodecParameters{RTPCodecCapability: opus, PayloadType: 111}
	video := webrtc.RTPCodecParameters{RTPCodecCapability: h264, PayloadType: 102}
	repair := webrtc.RTPCodecParameters{RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: "apt=102"}, PayloadType: 103}
	err := errors.Join(m.RegisterCodec(audio, webrtc.RTPCodecTypeAudio), m.RegisterCodec(video, webrtc.RTPCodecTypeVideo), m.RegisterCodec(repair, webrtc.RTPCodecTypeVideo))
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		for _, uri := range []string{midURI, source.CaptureURI} {
			err = errors.Join(err, m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: uri}, kind))
		}
	}
	if err = errors.Join(err, webrtc.ConfigureSimulcastExtensionHeaders(m)); err != nil {
		return nil, fmt.Errorf("set the media engine up: %w", err)
	}
	return m, nil
}

// lossy drops a share of what goes out, under everything else that is registered.
type lossy struct {
	share float64
	tap   *tap
}

// NewInterceptor makes the one of a PeerConnection.
func (l lossy) NewInterceptor(string) (interceptor.Interceptor, error) {
	return &dropper{lossy: l}, nil
}

type dropper struct {
	interceptor.NoOp
	lossy
}

// BindLocalStream puts the dropper between the stream and the wire.
func (d *dropper) BindLocalStream(_ *interceptor.StreamInfo, next interceptor.RTPWriter) interceptor.RTPWriter {
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, a interceptor.Attributes) (int, error) {
		if rand.Float64() < d.share { //nolint:gosec // chance, not secrets
			d.tap.with(func(s *Stats) { s.Dropped++ })
			return len(payload), nil
		}
		return next.Write(h, payload, a)
	})
}
