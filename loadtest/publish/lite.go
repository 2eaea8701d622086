package publish

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/source"
)

// URIs of the extensions that OBS uses (RFC 8843 section 15, RFC 8852).
const (
	midURI = "urn:ietf:params:rtp-hdrext:sdes:mid"
	ridURI = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
)

// lite is the way of the recorded shapes: one socket, no engine.
type lite struct {
	shape    Shape
	noReport bool
	resource *link.Resource
	peer     *link.Peer
	audio    *stream
	video    []*stream // by layer
	trickled []int

	mu  sync.Mutex // guards the streams' histories and repair numbering
	tap *tap
}

func dialLite(ctx context.Context, c Config, client *http.Client, t *tap) (*lite, error) {
	cert, err := link.NewCertificate()
	if err != nil {
		return nil, err
	}
	id := Identity{Local: link.NewCredentials(), Fingerprint: cert.Fingerprint, Audio: rand.Uint32(), Video: rand.Uint32(), Repair: rand.Uint32()} //nolint:gosec // chance, not secrets
	offer, err := Offer(c.Shape, id, declared(c))
	if err != nil {
		return nil, err
	}
	begun := time.Now()
	l := &lite{shape: c.Shape, noReport: c.NoReports, tap: t}
	if l.resource, err = link.Post(ctx, link.Endpoint{Client: client, URL: c.URL, Token: c.Token}, offer); err != nil {
		return nil, err
	}
	t.answered(time.Since(begun))
	if err := l.connect(ctx, c, cert, id); err != nil {
		_, _ = l.resource.Delete(context.WithoutCancel(ctx)) // the error at hand is the better one
		return nil, err
	}
	t.connected(time.Since(begun))
	return l, nil
}

// declared is the media with another profile-level-id, if one is wished.
func declared(c Config) *source.Media {
	if c.Profile == "" {
		return c.Media
	}
	m := *c.Media
	m.Layers = append([]source.Layer(nil), m.Layers...)
	m.Layers[len(m.Layers)-1].Profile = c.Profile
	return &m
}

func (l *lite) connect(ctx context.Context, c Config, cert link.Certificate, id Identity) error {
	answer, err := link.ParseAnswer(l.resource.Answer)
	if err != nil {
		return err
	}
	if err := l.streams(c, answer, id); err != nil {
		return err
	}
	if l.shape == GStreamer {
		if err := l.trickle(ctx, id.Local); err != nil {
			return err
		}
	}
	l.peer, err = link.Dial(ctx, link.Config{Certificate: cert, Local: id.Local, Answer: answer, RTCP: l.feedback})
	return err
}

func (l *lite) trickle(ctx context.Context, local link.Credentials) error {
	for _, f := range fragments(local, 9) {
		res, err := l.resource.Patch(ctx, f, l.resource.ETag)
		if err != nil {
			return fmt.Errorf("trickle: %w", err)
		}
		l.trickled = append(l.trickled, res.StatusCode) // the client goes on whatever the status
	}
	return nil
}

func (l *lite) streams(c Config, a link.Answer, id Identity) error {
	video := a.First("video")
	if video == nil {
		return errors.New("read the answer: it has no video")
	}
	h264, ok := video.Find("H264")
	if !ok {
		return errors.New("read the answer: it has no H264")
	}
	for i := range c.Media.Layers {
		s := newStream(false, i, id.Video+uint32(i), h264.PT)
		if ext := video.Extensions[midURI]; ext != 0 {
			s.extensions = append(s.extensions, extension{ext, []byte(video.MID)})
		}
		if ext := video.Extensions[ridURI]; ext != 0 && len(c.Media.Layers) > 1 {
			// OBS calls the largest picture 0.
			rid := string('0' + rune(len(c.Media.Layers)-1-i))
			s.extensions = append(s.extensions, extension{ext, []byte(rid)})
		}
		if rtx := video.Repair(h264.PT); rtx != 0 && c.Shape == FFmpeg {
			s.repairPT, s.repairSSRC = rtx, id.Repair
		}
		l.video = append(l.video, s)
	}
	// GStreamer's audio is bundle-only: an answer may echo port 0 or give 9.
	for i := range a.Media {
		if f, ok := a.Media[i].Find("opus"); ok && a.Media[i].Kind == "audio" {
			l.audio = newStream(true, 0, id.Audio, f.PT)
		}
	}
	return nil
}

func (l *lite) stream(u source.Unit) *stream {
	if u.Audio {
		return l.audio
	}
	return l.video[u.Layer]
}

// send seals one packet, remembers it, and lets it go unless drop is set.
func (l *lite) send(u source.Unit, p packet) error {
	s := l.stream(u)
	if s == nil {
		return nil // the server takes no audio
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	h := s.next(u.TS, p.marker, len(p.payload), p.at)
	sealed, err := l.peer.Seal(nil, h, p.payload)
	if err != nil {
		return err
	}
	kept := sealed
	if s.repairSSRC != 0 {
		if kept, err = (&rtp.Packet{Header: *h, Payload: p.payload}).Marshal(); err != nil {
			return fmt.Errorf("marshal RTP: %w", err)
		}
	}
	if !s.audio {
		s.remember(h.SequenceNumber, kept)
	}
	if p.drop {
		return nil
	}
	return l.peer.Send(sealed)
}

// report sends one sender report per stream (RFC 3550 section 6.4.1).
func (l *lite) report(now time.Time) error {
	if l.noReport {
		return nil
	}
	l.mu.Lock()
	var reports []rtcp.Packet
	for _, s := range append(append([]*stream(nil), l.video...), l.audio) {
		if s == nil || !s.started {
			continue
		}
		ts := s.lastTS + uint32(now.Sub(s.lastAt).Seconds()*float64(s.clock))
		reports = append(reports, &rtcp.SenderReport{SSRC: s.ssrc, NTPTime: source.NTP(now), RTPTime: ts, PacketCount: s.packets, OctetCount: s.octets},
			&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: s.ssrc, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "load"}}}}})
	}
	l.mu.Unlock()
	for i := 0; i+1 < len(reports); i += 2 {
		if err := l.peer.WriteRTCP(reports[i], reports[i+1]); err != nil {
			return err
		}
	}
	return nil
}

// feedback is called by the peer's reader.
func (l *lite) feedback(packets []rtcp.Packet) {
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.PictureLossIndication:
			l.tap.key(l.layer(p.MediaSSRC))
		case *rtcp.FullIntraRequest:
			for _, f := range p.FIR {
				l.tap.key(l.layer(f.SSRC))
			}
		case *rtcp.TransportLayerNack:
			l.nack(p)
		default:
			l.tap.other(p)
		}
	}
}

func (l *lite) layer(ssrc uint32) int {
	for i, s := range l.video {
		if s.ssrc == ssrc {
			return i
		}
	}
	return -1
}

func (l *lite) nack(n *rtcp.TransportLayerNack) {
	i := l.layer(n.MediaSSRC)
	if i < 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.video[i]
	for _, pair := range n.Nacks {
		for _, seq := range pair.PacketList() {
			// OBS looks NACKs up by one SSRC only, that of its first encoding.
			deaf := l.shape == OBS && i != len(l.video)-1
			l.tap.nacked(!deaf && l.resend(s, seq))
		}
	}
}

func (l *lite) resend(s *stream, seq uint16) bool {
	b, ok := s.kept[seq]
	if !ok {
		return false
	}
	if s.repairSSRC != 0 {
		h, payload, ok := s.repair(seq, b)
		if !ok {
			return false
		}
		var err error
		if b, err = l.peer.Seal(nil, h, payload); err != nil {
			return false
		}
	}
	return l.peer.Send(b) == nil
}

func (l *lite) gone() <-chan struct{} { return l.peer.Gone() }

func (l *lite) session() *link.Resource { return l.resource }

// close ends as the client would: OBS says goodbye by DTLS, then DELETEs;
// FFmpeg and GStreamer DELETE first.
func (l *lite) close(ctx context.Context) (int, error) {
	if l.shape == OBS {
		l.peer.Close(true)
	}
	status, err := l.resource.Delete(ctx)
	l.peer.Close(true)
	return status, err
}
