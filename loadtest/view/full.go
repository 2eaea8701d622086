package view

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/source"
)

// FullStats is what one full viewer saw.
type FullStats struct {
	Joined  time.Duration `json:"joined_ns"` // POST to the first complete key frame, 0 if none came
	Packets uint64        `json:"packets"`
	Frames  uint64        `json:"frames"`
	Keys    uint64        `json:"key_frames"`
	Lost    uint64        `json:"lost"`
	Audio   uint64        `json:"audio_packets"`
	Codecs  []string      `json:"codecs"`
	Latency Quantiles     `json:"latency"`
}

// Full is a viewer by a whole PeerConnection with its default interceptors.
type Full struct {
	pc       *webrtc.PeerConnection
	resource *link.Resource
	begun    time.Time
	readers  sync.WaitGroup
	keyed    chan struct{}

	mu      sync.Mutex // guards what follows
	closed  bool
	track   *Track
	stats   FullStats
	latency *histogram
}

// DialFull posts an offer with everything that Pion can and connects.
func DialFull(ctx context.Context, c Config) (*Full, error) {
	if c.Client == nil {
		c.Client = link.NewClient()
	}
	pc, err := fullConnection()
	if err != nil {
		return nil, err
	}
	f := &Full{pc: pc, keyed: make(chan struct{}), track: NewTrack(VideoWindow), latency: newHistogram()}
	if err := f.connect(ctx, c); err != nil {
		_ = f.Close(context.WithoutCancel(ctx)) // the error at hand is the better one
		return nil, fmt.Errorf("view in full: %w", err)
	}
	return f, nil
}

func fullConnection() (*webrtc.PeerConnection, error) {
	m, i, s := &webrtc.MediaEngine{}, &interceptor.Registry{}, webrtc.SettingEngine{}
	if err := errors.Join(m.RegisterDefaultCodecs(), webrtc.RegisterDefaultInterceptors(m, i)); err != nil {
		return nil, fmt.Errorf("set Pion up: %w", err)
	}
	s.SetIncludeLoopbackCandidate(true)
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(i), webrtc.WithSettingEngine(s)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, fmt.Errorf("make the PeerConnection: %w", err)
	}
	return pc, nil
}

func (f *Full) connect(ctx context.Context, c Config) error {
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecTypeVideo} {
		if _, err := f.pc.AddTransceiverFromKind(kind, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionRecvonly}); err != nil {
			return fmt.Errorf("ask for %s: %w", kind, err)
		}
	}
	f.pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) { f.received(t) })
	offer, err := f.pc.CreateOffer(nil)
	if err != nil {
		return fmt.Errorf("make the offer: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(f.pc)
	if err := f.pc.SetLocalDescription(offer); err != nil {
		return fmt.Errorf("take the own offer: %w", err)
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return fmt.Errorf("gather candidates: %w", context.Cause(ctx))
	}
	f.begun = time.Now()
	if f.resource, err = link.Post(ctx, link.Endpoint{Client: c.Client, URL: c.URL, Token: c.Token}, []byte(f.pc.LocalDescription().SDP)); err != nil {
		return err
	}
	return f.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(f.resource.Answer)})
}

// received starts a reader per track; Close waits for them.
func (f *Full) received(t *webrtc.TrackRemote) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.stats.Codecs = append(f.stats.Codecs, strings.TrimPrefix(strings.TrimPrefix(t.Codec().MimeType, "video/"), "audio/"))
	f.readers.Go(func() { f.read(t) })
}

func (f *Full) read(t *webrtc.TrackRemote) {
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return // the PeerConnection is closed, or the track ended
		}
		now := time.Now()
		f.mu.Lock()
		if t.Kind() == webrtc.RTPCodecTypeAudio {
			f.stats.Audio++
		} else {
			f.picture(p, now)
		}
		f.mu.Unlock()
	}
}

func (f *Full) picture(p *rtp.Packet, now time.Time) {
	if len(p.Payload) == 0 {
		return // padding
	}
	f.stats.Packets++
	a := Arrived{Seq: p.SequenceNumber, TS: p.Timestamp, Marker: p.Marker, At: InstantOf(now), Starts: source.StartsKey(p.Payload)}
	if stamp, ok := source.FindStamp(p.Payload); ok {
		a.Sent = InstantOf(stamp.Sent)
	}
	frames, _ := f.track.Expire(a.At, nil)
	for _, frame := range f.track.Receive(a, frames) {
		f.stats.Frames++
		if frame.Key {
			f.stats.Keys++
			if f.stats.Joined == 0 {
				f.stats.Joined = frame.At.Sub(InstantOf(f.begun))
				close(f.keyed)
			}
		}
		if frame.Sent != 0 {
			f.latency.add(frame.At.Sub(frame.Sent))
		}
	}
}

// Keyed is closed when the first key frame is complete.
func (f *Full) Keyed() <-chan struct{} { return f.keyed }

// State is the PeerConnection's.
func (f *Full) State() string { return f.pc.ConnectionState().String() }

// Session is the WHEP resource.
func (f *Full) Session() *link.Resource { return f.resource }

// Stats counts so far.
func (f *Full) Stats() FullStats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.stats
	s.Codecs = append([]string(nil), s.Codecs...)
	s.Lost, s.Latency = f.track.Lost, f.latency.quantiles()
	return s
}

// Close deletes the session and closes the PeerConnection.
func (f *Full) Close(ctx context.Context) error {
	f.mu.Lock()
	f.closed = true
	f.mu.Unlock()
	var deleted error
	if f.resource != nil {
		_, deleted = f.resource.Delete(ctx)
	}
	err := f.pc.Close()
	f.readers.Wait()
	if errors.Is(err, io.ErrClosedPipe) {
		err = nil
	}
	return errors.Join(deleted, err)
}
