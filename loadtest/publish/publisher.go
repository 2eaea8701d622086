package publish

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/source"
)

// How the player behaves.
const (
	mtu = 1188 // RTP payload; with header, extensions and SRTP tag about 1230 bytes of UDP
	// A large frame leaves in bursts of 12 packets a millisecond, as an encoder's
	// pacer would send it.
	burst    = 12
	burstGap = time.Millisecond
	// An encoder that is asked for key frames all the time makes at most three a second.
	keyGap         = time.Second / 3
	reportInterval = time.Second
	// Connecting takes a few round trips; ten seconds is a server that never will.
	connectTimeout = 10 * time.Second
)

// ErrGone says that the server ended the session.
var ErrGone = errors.New("the server ended the publisher's session")

// packet is one payload on its way out.
type packet struct {
	payload []byte
	marker  bool
	first   bool // of its frame
	drop    bool // lost on purpose
	at      time.Time
}

// way is how packets leave: a light peer, or a PeerConnection.
type way interface {
	send(u source.Unit, p packet) error
	report(now time.Time) error
	gone() <-chan struct{}
	session() *link.Resource
	close(ctx context.Context) (status int, err error)
}

var (
	_ way = (*lite)(nil)
	_ way = (*full)(nil)
)

// Publisher is one connected WHIP session.
type Publisher struct {
	c    Config
	way  way
	tap  *tap
	last []time.Time // when each layer's last asked-for key frame was made
}

// Dial posts the offer and connects. Run plays.
func Dial(ctx context.Context, c Config) (*Publisher, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Client == nil {
		c.Client = link.NewClient()
	}
	p := &Publisher{c: c, tap: newTap(c.Shape, len(c.Media.Layers), c.IgnorePLI || c.Shape == OBS || c.Shape == FFmpeg), last: make([]time.Time, len(c.Media.Layers))}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	var err error
	if p.way, err = dial(ctx, c, c.Client, p.tap); err != nil {
		return nil, fmt.Errorf("publish as %s: %w", c.Shape, err)
	}
	return p, nil
}

func dial(ctx context.Context, c Config, client *http.Client, t *tap) (way, error) {
	if c.Shape == Default {
		return dialFull(ctx, c, client, t)
	}
	return dialLite(ctx, c, client, t)
}

// Stats counts so far. Safe while Run runs.
func (p *Publisher) Stats() Stats {
	s := p.tap.snapshot()
	if l, ok := p.way.(*lite); ok {
		s.Trickled = l.trickled
	}
	return s
}

// Session is the WHIP resource.
func (p *Publisher) Session() *link.Resource { return p.way.session() }

// Run plays until ctx ends (then it returns nil) or the server ends the
// session (ErrGone), and takes the session down as its shape would.
func (p *Publisher) Run(ctx context.Context) error {
	err := p.play(ctx)
	status, closed := p.way.close(context.WithoutCancel(ctx))
	p.tap.with(func(s *Stats) { s.Deleted = status })
	if err == nil && closed != nil {
		return fmt.Errorf("end the publisher: %w", closed)
	}
	return err
}

// Close ends a publisher that Run does not run.
func (p *Publisher) Close(ctx context.Context) error {
	status, err := p.way.close(ctx)
	p.tap.with(func(s *Stats) { s.Deleted = status })
	return err
}

func (p *Publisher) play(ctx context.Context) error {
	r := source.NewReader(p.c.Media, time.Now().Add(p.c.Late))
	report := time.Now().Add(p.c.Late + reportInterval/10) // early: viewers' clocks wait for it
	for {
		u := r.Next()
		if !u.Audio {
			// Wishes are taken before the frame is fetched the next time; one frame of delay is an encoder's too.
			p.wishes(r)
		}
		if err := p.wait(ctx, u.At); err != nil {
			return ended(ctx, err)
		}
		if err := p.unit(ctx, u); err != nil {
			return ended(ctx, err)
		}
		if now := time.Now(); now.After(report) {
			report = now.Add(reportInterval)
			if err := p.way.report(now); err != nil {
				return err
			}
		}
	}
}

// ended turns the end of ctx into a good end.
func ended(ctx context.Context, err error) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return err
	}
}

func (p *Publisher) wishes(r *source.Reader) {
	for {
		select {
		case layer := <-p.tap.keys:
			if now := time.Now(); now.Sub(p.last[layer]) >= keyGap {
				p.last[layer] = now
				r.Key(layer)
			}
		default:
			return
		}
	}
}

func (p *Publisher) wait(ctx context.Context, at time.Time) error {
	d := time.Until(at)
	if d <= 0 {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-p.way.gone():
		return ErrGone
	}
}

// unit sends one frame or audio packet. Its send time is now: what the pacing
// of a large frame takes is part of what a viewer waits for.
func (p *Publisher) unit(ctx context.Context, u source.Unit) error {
	now := time.Now()
	if u.Audio {
		return p.packet(u, packet{payload: u.Opus, marker: false, first: true, at: now})
	}
	payloads := source.Packetize(stamped(u, now), mtu)
	for i, b := range payloads {
		if i > 0 && i%burst == 0 {
			if err := p.wait(ctx, time.Now().Add(burstGap)); err != nil {
				return err
			}
		}
		if err := p.packet(u, packet{payload: b, marker: i == len(payloads)-1, first: i == 0, at: now}); err != nil {
			return err
		}
	}
	if u.Layer == len(p.c.Media.Layers)-1 {
		p.tap.with(func(s *Stats) {
			s.Frames++
			if now.Sub(u.At) >= source.FrameInterval {
				s.Late++
			}
		})
	}
	return nil
}

func (p *Publisher) packet(u source.Unit, out packet) error {
	out.drop = p.c.Shape != Default && p.c.Loss > 0 && rand.Float64() < p.c.Loss //nolint:gosec // chance, not secrets
	p.tap.with(func(s *Stats) {
		s.Packets++
		s.Bytes += uint64(len(out.payload))
		if out.drop {
			s.Dropped++
		}
	})
	return p.way.send(u, out)
}

// stamped puts the stamp's SEI where H.264 wants it: behind the parameter
// sets, before the first slice (clause 7.4.1.2.3).
func stamped(u source.Unit, now time.Time) [][]byte {
	sei := source.Stamp{Sent: now, Frame: u.Index, Layer: uint8(u.Layer)}.AppendSEI(nil)
	units := make([][]byte, 0, len(u.NALs)+1)
	i := 0
	for ; i < len(u.NALs) && u.NALs[i][0]&0x1f >= 7; i++ {
		units = append(units, u.NALs[i])
	}
	units = append(units, sei)
	return append(units, u.NALs[i:]...)
}
