package pion

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/datachannel"
	"github.com/pion/dtls/v3"
	"github.com/pion/sctp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/negotiate"
)

const (
	// maxMessage is the largest message in bytes that goes either way, as answers say.
	maxMessage = negotiate.MaxMessage
	// maxChannels may be open at once; maxStreams may be opened in a session's life: each
	// costs memory that only its end gives back.
	maxChannels, maxStreams = 4, 32
	// maxHeard is how many messages a client may send over one channel: nothing is asked of it.
	maxHeard = 256
	// maxBuffered bounds what waits for a client that does not take it.
	maxBuffered = 256 << 10
	// maxLabel bounds a channel's name.
	maxLabel = 64
	// openTime is how soon a stream must say which channel it is (RFC 8832 section 5.1).
	openTime = 5 * time.Second
)

var (
	errLong = errors.New("write to a data channel: the message is too long")
	errSlow = errors.New("write to a data channel: the client does not read")
)

// Channel serves a data channel that the client has opened, until ctx ends; it returns at
// once for a label that it does not know. The channel is closed then.
type Channel func(ctx context.Context, label string, send func([]byte) error)

// associate serves data channels until the connection ends (RFC 8831).
func (c *Conn) associate(conn *dtls.Conn) {
	stop := context.AfterFunc(c.life, func() { _ = conn.Close() })
	defer stop()
	a, err := sctp.ServerWithOptions(sctp.WithNetConn(conn), sctp.WithMaxMessageSize(maxMessage), sctp.WithMaxReceiveBufferSize(4*maxMessage),
		sctp.WithLoggerFactory(silent{}))
	if err == nil {
		c.accept(a)
		_ = a.Close()
	}
	c.Close(media.ErrHangup)
}

// accept serves streams as they come.
func (c *Conn) accept(a *sctp.Association) {
	var serving sync.WaitGroup
	defer serving.Wait()
	ctx, cancel := context.WithCancel(c.life)
	defer cancel()
	var open atomic.Int64
	for range maxStreams {
		s, err := a.AcceptStream()
		if err != nil {
			return
		}
		if open.Add(1) > maxChannels {
			open.Add(-1)
			_ = s.Close()
			continue
		}
		serving.Go(func() { // ended by cancel, or by the association's end
			defer open.Add(-1)
			c.serve(ctx, s)
		})
	}
	c.Close(media.ErrTooFast)
}

// serve serves one channel.
func (c *Conn) serve(ctx context.Context, s *sctp.Stream) {
	defer func() { _ = s.Close() }()
	_ = s.SetReadDeadline(time.Now().Add(openTime))
	config := datachannel.Config{LoggerFactory: silent{}}
	ch, err := datachannel.Server(s, &config)
	if err != nil || len(config.Label) > maxLabel {
		return
	}
	_ = s.SetReadDeadline(time.Time{})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = s.SetReadDeadline(past) })
	defer stop()
	heard := make(chan struct{})
	go func() { // ended by cancel, at the latest below
		defer close(heard)
		defer cancel() // the client has closed it, or talks too much
		buf := make([]byte, maxMessage)
		for range maxHeard {
			if _, err := ch.Read(buf); err != nil {
				return
			}
		}
	}()
	c.channel(ctx, config.Label, func(b []byte) error {
		switch {
		case len(b) > maxMessage:
			return errLong
		case s.BufferedAmount() > maxBuffered:
			return errSlow
		}
		_, err := ch.WriteDataChannel(b, true)
		return err
	})
	_ = s.SetReadDeadline(past)
	<-heard
}
