package publish

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/source"
)

// rids of simulcast layers from the smallest up, as browsers' examples name them.
var rids = []string{"q", "h", "f"}

// full is the way of a real PeerConnection.
type full struct {
	pc       *webrtc.PeerConnection
	resource *link.Resource
	audio    *line
	video    []*line
	tap      *tap
	ended    chan struct{}
	once     sync.Once
	readers  sync.WaitGroup
}

// line is one outgoing track of the PeerConnection.
type line struct {
	track   *webrtc.TrackLocalStaticRTP
	stream  *stream
	capture uint8 // id of abs-capture-time, or 0
}

func dialFull(ctx context.Context, c Config, client *http.Client, t *tap) (*full, error) {
	pc, err := newPeerConnection(c.Loss, t)
	if err != nil {
		return nil, err
	}
	f := &full{pc: pc, tap: t, ended: make(chan struct{})}
	if err := f.connect(ctx, c, client); err != nil {
		_ = pc.Close()
		f.readers.Wait()
		if f.resource != nil {
			_, _ = f.resource.Delete(context.WithoutCancel(ctx)) // the error at hand is the better one
		}
		return nil, err
	}
	return f, nil
}

func (f *full) connect(ctx context.Context, c Config, client *http.Client) error {
	connected := make(chan struct{})
	var first sync.Once // ICE may leave and come back
	f.pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		switch s {
		case webrtc.PeerConnectionStateConnected:
			first.Do(func() { close(connected) })
		case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
			f.once.Do(func() { close(f.ended) })
		}
	})
	senders, err := f.tracks(c)
	if err != nil {
		return err
	}
	begun := time.Now()
	if err := f.negotiate(ctx, c, client); err != nil {
		return err
	}
	f.tap.answered(time.Since(begun))
	f.extensions(senders)
	f.listen(senders)
	select {
	case <-connected:
		f.tap.connected(time.Since(begun))
		return nil
	case <-f.ended:
		return errors.New("connect: the PeerConnection failed")
	case <-ctx.Done():
		return fmt.Errorf("connect: %w", context.Cause(ctx))
	}
}

func (f *full) negotiate(ctx context.Context, c Config, client *http.Client) error {
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
	if f.resource, err = link.Post(ctx, link.Endpoint{Client: client, URL: c.URL, Token: c.Token}, []byte(f.pc.LocalDescription().SDP)); err != nil {
		return err
	}
	answer := webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(f.resource.Answer)}
	if err := f.pc.SetRemoteDescription(answer); err != nil {
		return fmt.Errorf("take the answer: %w", err)
	}
	return nil
}

// tracks adds audio, then video: the order of browsers' pages.
func (f *full) tracks(c Config) ([]*webrtc.RTPSender, error) {
	var senders []*webrtc.RTPSender
	if len(c.Media.Audio) > 0 {
		t, err := webrtc.NewTrackLocalStaticRTP(opus, "audio", "load")
		if err != nil {
			return nil, fmt.Errorf("make the audio track: %w", err)
		}
		f.audio = &line{track: t, stream: newStream(true, 0, 0, 0)}
		s, err := f.add(t)
		if err != nil {
			return nil, err
		}
		senders = append(senders, s)
	}
	var video *webrtc.RTPSender
	for i := range c.Media.Layers {
		var options []func(*webrtc.TrackLocalStaticRTP)
		if len(c.Media.Layers) > 1 {
			options = append(options, webrtc.WithRTPStreamID(rids[i]))
		}
		t, err := webrtc.NewTrackLocalStaticRTP(h264, "video", "load", options...)
		if err != nil {
			return nil, fmt.Errorf("make the video track: %w", err)
		}
		f.video = append(f.video, &line{track: t, stream: newStream(false, i, 0, 0)})
		if i == 0 {
			if video, err = f.add(t); err != nil {
				return nil, err
			}
		} else if err := video.AddEncoding(t); err != nil {
			return nil, fmt.Errorf("add a layer: %w", err)
		}
	}
	return append(senders, video), nil
}

func (f *full) add(t webrtc.TrackLocal) (*webrtc.RTPSender, error) {
	tr, err := f.pc.AddTransceiverFromTrack(t, webrtc.RTPTransceiverInit{Direction: webrtc.RTPTransceiverDirectionSendonly})
	if err != nil {
		return nil, fmt.Errorf("add the %s track: %w", t.Kind(), err)
	}
	return tr.Sender(), nil
}

// extensions learns the negotiated ids: Pion leaves mid and rid to the sender.
func (f *full) extensions(senders []*webrtc.RTPSender) {
	mids := map[*webrtc.RTPSender]string{}
	for _, tr := range f.pc.GetTransceivers() {
		mids[tr.Sender()] = tr.Mid()
	}
	for _, s := range senders {
		lines := f.video
		if s.Track().Kind() == webrtc.RTPCodecTypeAudio {
			lines = []*line{f.audio}
		}
		for _, l := range lines {
			for _, e := range s.GetParameters().HeaderExtensions {
				switch e.URI {
				case midURI:
					l.stream.extensions = append(l.stream.extensions, extension{uint8(e.ID), []byte(mids[s])})
				case ridURI:
					if rid := l.track.RID(); rid != "" {
						l.stream.extensions = append(l.stream.extensions, extension{uint8(e.ID), []byte(rid)})
					}
				case source.CaptureURI:
					l.capture = uint8(e.ID)
				}
			}
		}
	}
}

// listen reads the RTCP of each sender and layer until the PeerConnection closes;
// close waits for the readers.
func (f *full) listen(senders []*webrtc.RTPSender) {
	for _, s := range senders {
		if s.Track().Kind() == webrtc.RTPCodecTypeAudio {
			f.readers.Go(func() { f.read(-1, s.ReadRTCP) })
			continue
		}
		if len(f.video) == 1 {
			f.readers.Go(func() { f.read(0, s.ReadRTCP) })
			continue
		}
		for i, l := range f.video {
			f.readers.Go(func() {
				f.read(i, func() ([]rtcp.Packet, interceptor.Attributes, error) { return s.ReadSimulcastRTCP(l.track.RID()) })
			})
		}
	}
}

func (f *full) read(layer int, next func() ([]rtcp.Packet, interceptor.Attributes, error)) {
	for {
		packets, _, err := next()
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) || f.pc.ConnectionState() == webrtc.PeerConnectionStateClosed {
				return
			}
			continue // a packet that cannot be read
		}
		for _, p := range packets {
			f.feedback(layer, p)
		}
	}
}

func (f *full) feedback(layer int, p rtcp.Packet) {
	switch p := p.(type) {
	case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
		if layer >= 0 {
			f.tap.key(layer)
		}
	case *rtcp.TransportLayerNack:
		for _, pair := range p.Nacks {
			for range pair.PacketList() {
				f.tap.nacked(true) // Pion's responder answers
			}
		}
	default:
		f.tap.other(p)
	}
}

func (f *full) send(u source.Unit, p packet) error {
	l := f.audio
	if !u.Audio {
		l = f.video[u.Layer]
	}
	h := l.stream.next(u.TS, p.marker, len(p.payload), p.at)
	if l.capture != 0 && p.first {
		if err := h.SetExtension(l.capture, source.CaptureTime(p.at)); err != nil {
			return fmt.Errorf("write the capture time: %w", err)
		}
	}
	if err := l.track.WriteRTP(&rtp.Packet{Header: *h, Payload: p.payload}); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		return fmt.Errorf("send RTP: %w", err)
	}
	return nil
}

func (f *full) report(time.Time) error { return nil } // Pion's interceptor reports

func (f *full) gone() <-chan struct{} { return f.ended }

func (f *full) session() *link.Resource { return f.resource }

func (f *full) close(ctx context.Context) (int, error) {
	status, err := f.resource.Delete(ctx)
	closed := f.pc.Close()
	f.readers.Wait()
	return status, errors.Join(err, closed)
}
