package view

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sluice-live/sluice/loadtest/link"
)

// joins are how long the steps of joining took.
type joins struct {
	tried, failed, refused                 int
	answer, ice, dtls, first, joined, edge []time.Duration
	firstIsKey                             int
	profiles                               map[string]int
	errors                                 map[string]int
}

// serverSettles is how long a viewer that was the DTLS server stays ready to
// send its last flight again.
const serverSettles = 1500 * time.Millisecond

// Join makes one more viewer: POST, one check, DTLS. It returns when the SRTP
// keys are in place; Keyed tells of the first key frame.
func (s *Swarm) Join(ctx context.Context) (*Viewer, error) { return s.JoinAt(ctx, s.c.URL) }

// JoinAt is Join at another endpoint of the same server.
func (s *Swarm) JoinAt(ctx context.Context, url string) (*Viewer, error) {
	v, err := s.join(ctx, url)
	if err != nil {
		why := err.Error()
		_, refused := Refused(err)
		_ = s.do(func() { s.joins.fail(why, refused) }) // an ended swarm counts no more
		return nil, err
	}
	return v, nil
}

// Refused tells whether a join failed because the server asked to come later
// (503 or 429), and after what time.
func Refused(err error) (time.Duration, bool) {
	var status *link.StatusError
	if !errors.As(err, &status) || status.Code != http.StatusServiceUnavailable && status.Code != http.StatusTooManyRequests {
		return 0, false
	}
	return status.Retry, true
}

func (s *Swarm) join(ctx context.Context, url string) (*Viewer, error) {
	local := link.NewCredentials()
	begun := time.Now()
	r, err := link.Post(ctx, link.Endpoint{Client: s.c.Client, URL: url, Token: s.c.Token}, Offer(local, s.cert.Fingerprint, Wishes{RTX: s.c.RTX, Feedback: s.c.Feedback > 0}))
	if err != nil {
		return nil, err
	}
	answered := time.Now()
	a, err := link.ParseAnswer(r.Answer)
	if err == nil && len(a.Candidates) == 0 {
		err = errors.New("read the answer: it has no UDP candidate")
	}
	if err != nil {
		_, _ = r.Delete(context.WithoutCancel(ctx)) // the error at hand is the better one
		return nil, err
	}
	v := newViewer(begun, r, link.NewChecker(local, a.Remote))
	if err := s.connect(ctx, v, a); err != nil {
		s.Leave(context.WithoutCancel(ctx), v)
		return nil, err
	}
	return v, s.do(func() { s.joins.answer = append(s.joins.answer, answered.Sub(begun)) })
}

// connect is the part of a join after the answer.
func (s *Swarm) connect(ctx context.Context, v *Viewer, a link.Answer) error {
	if video := a.First("video"); video != nil {
		v.ids = ids{wide: video.Extensions[wideURI], capture: video.Extensions[captureURI]}
	}
	v.remote = a.Candidates[0]
	v.resource.Answer, v.resource.Header = nil, nil // read, and some kilobytes
	if err := s.socket(v); err != nil {
		return err
	}
	select {
	case <-v.checked:
	case <-v.left:
		return ErrEnded
	case <-ctx.Done():
		return fmt.Errorf("wait for the first check's answer: %w", context.Cause(ctx))
	}
	checked := time.Now()
	server := a.Setup == "active"
	conn, keys, err := link.Handshake{Conn: v.pipe, Remote: net.UDPAddrFromAddrPort(v.remote), Certificate: s.cert, Server: server,
		Algorithm: a.Algorithm, Fingerprint: a.Fingerprint}.Run(ctx)
	if err != nil {
		return err
	}
	shaken := time.Now()
	err = s.do(func() {
		s.joins.tried++
		s.joins.ice = append(s.joins.ice, checked.Sub(v.begun))
		s.joins.dtls = append(s.joins.dtls, shaken.Sub(v.begun))
		s.joins.agreed(keys.Profile)
		s.install(v, &keys)
	})
	// The connection sleeps from here on: it costs three goroutines awake.
	sleep := func() { v.pipe.Mute(); _ = conn.Close() }
	if server {
		time.AfterFunc(serverSettles, sleep)
	} else {
		sleep()
	}
	return err
}

// socket makes the socket, lets the loop read it, and sends the first check.
func (s *Swarm) socket(v *Viewer) error {
	fd, err := s.poller.open(v.remote)
	if err != nil {
		return err
	}
	v.pipe = link.NewPipe(net.UDPAddrFromAddrPort(v.remote), func(b []byte) error { return s.poller.send(fd, b) })
	var added error
	err = s.do(func() {
		if added = s.poller.add(fd); added == nil {
			v.fd = fd
			s.enter(v)
			s.check(v, InstantOf(time.Now())) // the first one
		}
	})
	if err = errors.Join(err, added); err != nil {
		s.poller.drop(fd)
	}
	return err
}

// Leave closes a viewer's socket and deletes its session. It returns the status
// of the DELETE, or 0.
func (s *Swarm) Leave(ctx context.Context, v *Viewer) int {
	_ = s.do(func() { s.drop(v); s.joins.left(v) }) // an ended swarm has dropped it
	status, err := v.resource.Delete(ctx)
	if err != nil {
		return 0
	}
	return status
}

func (j *joins) fail(why string, refused bool) {
	j.tried++
	if refused {
		j.refused++
		return
	}
	j.failed++
	if j.errors == nil {
		j.errors = map[string]int{}
	}
	if len(j.errors) < 20 || j.errors[why] > 0 {
		j.errors[why]++
	}
}

func (j *joins) agreed(profile string) {
	if j.profiles == nil {
		j.profiles = map[string]int{}
	}
	j.profiles[profile]++
}

// left keeps a viewer's milestones when it leaves, and lends them to a summary
// while it is there.
func (j *joins) left(v *Viewer) {
	if v.begun.IsZero() {
		return // it joined before the joins that are counted
	}
	begun := InstantOf(v.begun)
	milestone := func(dst *[]time.Duration, at Instant) {
		if at != 0 {
			*dst = append(*dst, at.Sub(begun))
		}
	}
	milestone(&j.first, v.firstRTP)
	milestone(&j.joined, v.joined)
	milestone(&j.edge, v.atEdge)
	if v.firstIsKey {
		j.firstIsKey++
	}
}
