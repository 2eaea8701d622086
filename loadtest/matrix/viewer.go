package matrix

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/source"
	"github.com/sluice-live/sluice/loadtest/view"
)

// A viewer is one that watches until it is asked to stop.
type viewer interface {
	// first is closed when the first picture was shown.
	first() <-chan struct{}
	// stop ends the session and tells what was seen.
	stop(ctx context.Context) (Record, error)
}

// How the load viewer behaves: as Chromium does, as far as it matters here.
const (
	nackAfter   = 10 * time.Millisecond
	nackAgain   = 100 * time.Millisecond
	tickEvery   = 10 * time.Millisecond
	sampleEvery = 500 * time.Millisecond
	pliEvery    = time.Second
	// A lost flight of DTLS is sent again after this, not after a second.
	handshakeAgain = 100 * time.Millisecond
)

// loadViewer is a viewer on Pion: transport-cc, RTX, NACK for the picture, RED for
// the sound, the playout-delay extension; no decoder, but the rules of one.
type loadViewer struct {
	pc       *webrtc.PeerConnection
	resource *link.Resource
	shown    chan struct{}
	ended    chan struct{}
	wg       sync.WaitGroup
	height   func(layer int) int

	mu      sync.Mutex // guards what follows
	record  Record
	player  *player
	sound   sound
	video   uint32 // SSRC
	delayID uint8
	nacks   float64
	plis    float64
	sampled time.Time
	asked   time.Time // for a key frame
	closed  bool
}

const playoutDelayURI = "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"

// watch joins as a load viewer. Heights are those of the published layers.
func watch(ctx context.Context, e link.Endpoint, m *source.Media) (*loadViewer, error) {
	pc, err := newConnection()
	if err != nil {
		return nil, err
	}
	v := &loadViewer{pc: pc, shown: make(chan struct{}), ended: make(chan struct{}), player: newPlayer()}
	v.height = func(layer int) int {
		if layer < len(m.Layers) {
			return m.Layers[layer].Height
		}
		return 0
	}
	if err := v.connect(ctx, e); err != nil {
		_ = v.close(context.WithoutCancel(ctx)) // the error at hand is the better one
		return nil, fmt.Errorf("watch: %w", err)
	}
	v.wg.Go(v.run)
	return v, nil
}

func newConnection() (*webrtc.PeerConnection, error) {
	m, i := &webrtc.MediaEngine{}, &interceptor.Registry{}
	feedback := []webrtc.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"}}
	audio := webrtc.RTPCodecParameters{PayloadType: 111, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2, SDPFmtpLine: "minptime=10;useinbandfec=1"}}
	red := webrtc.RTPCodecParameters{PayloadType: redPT, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: "audio/red", ClockRate: 48000, Channels: 2, SDPFmtpLine: "111/111"}}
	video := webrtc.RTPCodecParameters{PayloadType: 102, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeH264, ClockRate: 90000, SDPFmtpLine: "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f", RTCPFeedback: feedback}}
	repair := webrtc.RTPCodecParameters{PayloadType: 103, RTPCodecCapability: webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: "apt=102"}}
	err := errors.Join(m.RegisterCodec(audio, webrtc.RTPCodecTypeAudio), m.RegisterCodec(red, webrtc.RTPCodecTypeAudio), m.RegisterCodec(video, webrtc.RTPCodecTypeVideo), m.RegisterCodec(repair, webrtc.RTPCodecTypeVideo),
		m.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: playoutDelayURI}, webrtc.RTPCodecTypeVideo),
		webrtc.ConfigureTWCCSender(m, i), webrtc.ConfigureRTCPReports(i))
	if err != nil {
		return nil, fmt.Errorf("set Pion up: %w", err)
	}
	s := webrtc.SettingEngine{}
	s.SetIncludeLoopbackCandidate(true)
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	s.SetICETimeouts(10*time.Second, 30*time.Second, 2*time.Second) // an outage is not the end
	s.SetDTLSRetransmissionInterval(handshakeAgain)
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(i), webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, fmt.Errorf("make the PeerConnection: %w", err)
	}
	return pc, nil
}

func (v *loadViewer) connect(ctx context.Context, e link.Endpoint) error {
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := v.pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			return fmt.Errorf("ask for %s: %w", kind, err)
		}
	}
	v.pc.OnTrack(v.received)
	offer, err := v.pc.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("make the offer: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(v.pc)
	if err := v.pc.SetLocalDescription(offer); err != nil {
		return fmt.Errorf("take the own offer: %w", err)
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return fmt.Errorf("gather candidates: %w", context.Cause(ctx))
	}
	v.record.Joined = unixMS(time.Now())
	if v.resource, err = link.Post(ctx, e, []byte(v.pc.LocalDescription().SDP)); err != nil {
		return err
	}
	return v.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(v.resource.Answer)})
}

// received starts a reader per track; close waits for them.
func (v *loadViewer) received(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return
	}
	take := v.hear
	if t.Kind() == webrtc.RTPCodecTypeVideo {
		take = v.look
		for _, e := range r.GetParameters().HeaderExtensions {
			if e.URI == playoutDelayURI {
				v.delayID = uint8(e.ID)
			}
		}
	}
	v.wg.Go(func() {
		for {
			p, _, err := t.ReadRTP()
			if err != nil {
				return // closed, or the track ended
			}
			now := time.Now()
			v.mu.Lock()
			take(p, now)
			v.mu.Unlock()
		}
	})
}

// redPT is the payload type of RED: Chromium's.
const redPT = 63

// hear takes a packet of sound and the earlier ones that travel with it.
func (v *loadViewer) hear(p *rtp.Packet, now time.Time) {
	at := unixMS(now)
	v.sound.receive(p.SequenceNumber, at)
	if p.PayloadType != redPT {
		return
	}
	for _, n := range earlier(p.Payload) {
		v.sound.receive(p.SequenceNumber-n, at)
	}
}

// earlier reads which packets before this one a RED payload carries (RFC 2198
// section 3), for Opus packets of 20 ms.
func earlier(b []byte) (before []uint16) {
	for len(b) >= 4 && b[0]&0x80 != 0 {
		offset, size := binary.BigEndian.Uint16(b[1:])>>2, binary.BigEndian.Uint16(b[2:])&0x3ff
		if size > 0 && offset >= soundTicks {
			before = append(before, offset/soundTicks)
		}
		b = b[4:]
	}
	return before
}

// look takes a packet of the picture.
func (v *loadViewer) look(p *rtp.Packet, now time.Time) {
	if len(p.Payload) == 0 {
		return // padding
	}
	v.video = p.SSRC
	a := view.Arrived{Seq: p.SequenceNumber, TS: p.Timestamp, Marker: p.Marker, At: view.InstantOf(now), Starts: source.StartsKey(p.Payload)}
	height := 0
	if stamp, ok := source.FindStamp(p.Payload); ok {
		a.Sent, height = view.InstantOf(stamp.Sent), v.height(int(stamp.Layer))
	}
	v.player.receive(a, height, v.delay(p))
	v.notice()
}

// delay reads the playout-delay extension: two 12-bit numbers of 10 ms; the
// least one counts. Negative: the packet tells nothing.
func (v *loadViewer) delay(p *rtp.Packet) time.Duration {
	if b := p.GetExtension(v.delayID); v.delayID != 0 && len(b) == 3 {
		return time.Duration(binary.BigEndian.Uint16(b)>>4) * 10 * time.Millisecond
	}
	return -1
}

// notice tells of the first picture.
func (v *loadViewer) notice() {
	select {
	case <-v.shown:
	default:
		if len(v.player.pictures) > 0 {
			close(v.shown)
		}
	}
}

// run asks for what is missing and takes samples, until close.
func (v *loadViewer) run() {
	t := time.NewTicker(tickEvery)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			v.tick(now)
		case <-v.ended:
			return
		}
	}
}

func (v *loadViewer) tick(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at := view.InstantOf(now)
	keyless := v.player.expire(at)
	v.notice()
	v.nack(v.player.track.Missing(at, nackAfter, nackAgain, nil))
	if keyless && v.video != 0 && now.Sub(v.asked) >= pliEvery {
		v.asked = now
		v.plis++
		v.write(&rtcp.PictureLossIndication{MediaSSRC: v.video})
	}
	if now.Sub(v.sampled) >= sampleEvery {
		v.sampled = now
		s := Sample{At: unixMS(now), NACKs: v.nacks, PLIs: v.plis, Lost: float64(v.player.track.Lost), Packets: float64(v.player.track.Packets), Decoded: float64(len(v.player.pictures))}
		s.Audio, s.Concealed = v.sound.counts(s.At)
		v.record.Samples = append(v.record.Samples, s)
	}
}

func (v *loadViewer) nack(missing []uint16) {
	if len(missing) == 0 {
		return
	}
	v.nacks += float64(len(missing))
	v.write(&rtcp.TransportLayerNack{MediaSSRC: v.video, Nacks: rtcp.NackPairsFromSequenceNumbers(missing)})
}

func (v *loadViewer) write(p rtcp.Packet) {
	_ = v.pc.WriteRTCP([]rtcp.Packet{p}) // lost like any datagram
}

func (v *loadViewer) first() <-chan struct{} { return v.shown }

func (v *loadViewer) stop(ctx context.Context) (Record, error) {
	err := v.close(ctx)
	v.mu.Lock()
	defer v.mu.Unlock()
	r := v.record
	r.Pictures = v.player.pictures
	return r, err
}

func (v *loadViewer) close(ctx context.Context) error {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	close(v.ended)
	var deleted error
	if v.resource != nil {
		_, deleted = v.resource.Delete(ctx)
	}
	err := v.pc.Close()
	v.wg.Wait()
	return errors.Join(deleted, err)
}
