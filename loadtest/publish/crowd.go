package publish

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/sluice-live/sluice/loadtest/link"
	"github.com/sluice-live/sluice/loadtest/source"
)

// A small stream: 64 kbit/s of audio and five small pictures a second.
const (
	smallAudio   = 160    // bytes in 20 ms
	smallBitrate = 96_000 // of pictures of 400 bytes, were they thirty a second
	// Turns of 20 ms between two pictures, and between two sender reports.
	pictureTurns = 10
	reportTurns  = 50
	smallGOP     = 10 // pictures: two seconds
	crowdTick    = time.Millisecond
	crowdTurn    = int(source.AudioInterval / crowdTick)
	crowdDials   = 16 // at once
)

// Crowd is many publishers of small streams, one each, played by one goroutine.
type Crowd struct {
	// Silent leaves the sound out; it is set before Run.
	Silent bool

	publishers []*Publisher
	media      *source.Media
	opus       []byte
}

// DialCrowd connects n publishers at a rate per second; {n} in the URL becomes
// the number of each. Those that fail are told together in the error; a crowd
// of the others is returned with it.
func DialCrowd(ctx context.Context, c Config, n int, rate float64) (*Crowd, error) {
	crowd := &Crowd{media: source.Synthetic(1, smallBitrate), opus: make([]byte, smallAudio)}
	crowd.opus[0] = 0xfc // CELT, fullband, 20 ms, stereo (RFC 6716 section 3.1)
	if c.Client == nil {
		c.Client = link.NewClient()
	}
	c.Shape, c.Media = OBS, crowd.media
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	room := make(chan struct{}, crowdDials)
	tick := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer tick.Stop()
	for i := range n {
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			own := c
			own.URL = strings.ReplaceAll(c.URL, "{n}", fmt.Sprint(i))
			p, err := Dial(ctx, own)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs = append(errs, err)
				return
			}
			crowd.publishers = append(crowd.publishers, p)
		})
	}
	wg.Wait()
	if len(errs) > 0 {
		return crowd, fmt.Errorf("%d of %d publishers failed, the first: %w", len(errs), n, errs[0])
	}
	return crowd, nil
}

// Len is how many publish.
func (c *Crowd) Len() int { return len(c.publishers) }

// Run plays until ctx ends. A publisher whose session the server ended is left
// out from then on; the error counts them.
func (c *Crowd) Run(ctx context.Context) error {
	tick := time.NewTicker(crowdTick)
	defer tick.Stop()
	gone := make([]bool, len(c.publishers))
	begun, done := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return lost(gone)
		case now := <-tick.C:
			// A tick that came late is made up for.
			for ; done < int(now.Sub(begun)/crowdTick); done++ {
				turn := done / crowdTurn
				for i := done % crowdTurn; i < len(c.publishers); i += crowdTurn {
					if !gone[i] {
						gone[i] = c.play(c.publishers[i], turn, now) != nil
					}
				}
			}
		}
	}
}

func lost(gone []bool) error {
	n := 0
	for _, g := range gone {
		if g {
			n++
		}
	}
	if n > 0 {
		return fmt.Errorf("%d of %d publishers were cut off", n, len(gone))
	}
	return nil
}

// play sends what one publisher sends in 20 ms.
func (c *Crowd) play(p *Publisher, turn int, now time.Time) error {
	at := time.Duration(turn) * source.AudioInterval
	var err error
	if !c.Silent {
		err = p.packet(source.Unit{Audio: true, TS: uint32(at.Seconds()*48000 + 0.5), Opus: c.opus}, packet{payload: c.opus, first: true, at: now})
	}
	if turn%pictureTurns == 0 {
		frames := c.media.Layers[0].Frames[:smallGOP]
		n := turn / pictureTurns
		u := source.Unit{TS: uint32(at.Seconds()*90000 + 0.5), NALs: frames[n%len(frames)].NALs, Index: uint32(n)}
		payloads := source.Packetize(stamped(u, now), mtu)
		for i, b := range payloads {
			err = errors.Join(err, p.packet(u, packet{payload: b, marker: i == len(payloads)-1, first: i == 0, at: now}))
		}
	}
	if turn%reportTurns == 1 {
		err = errors.Join(err, p.way.report(now))
	}
	return err
}

// Close ends all sessions, some at a time.
func (c *Crowd) Close(ctx context.Context) error {
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	room := make(chan struct{}, crowdDials)
	for _, p := range c.publishers {
		room <- struct{}{}
		wg.Go(func() {
			err := p.Close(ctx)
			mu.Lock()
			errs = append(errs, err)
			mu.Unlock()
			<-room
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
