package sfu

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/admit"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"github.com/sluice-live/sluice/sfu/pion"
	"github.com/sluice-live/sluice/sfu/transport"
)

// The least that ICE credentials may be (RFC 8839 section 5.4).
const (
	minUfrag = 4
	minPwd   = 22
)

// Publish answers a WHIP offer. The publisher takes the stream when it has
// connected, so that an offer that never connects disturbs nobody.
func (s *SFU) Publish(ctx context.Context, o media.Offer) (media.Answer, error) {
	policy := s.config.Policy(o.Stream)
	nc := negotiate.DefaultConfig()
	if len(policy.Codecs) > 0 {
		nc.Codecs = policy.Codecs
	}
	nc.Languages = policy.Languages
	nc.Lite = s.config.Carrier != CarrierLite
	remote, err := negotiate.Publish(o.SDP, nc)
	if err != nil {
		return media.Answer{}, err
	}
	if err := s.gate.ask(admit.Publisher, time.Now()); err != nil {
		return media.Answer{}, err
	}
	st, err := s.admit(o.Stream)
	if err != nil {
		return media.Answer{}, err
	}
	defer st.pending.Add(-1)
	epoch, err := s.config.Claims.Claim(ctx, o.Stream)
	if err != nil {
		return media.Answer{}, fmt.Errorf("claim the stream: %w", err)
	}
	p := newPublisher(st, o, remote, epoch)
	p.log = context.WithoutCancel(ctx)
	if err := st.reserve(p); err != nil {
		s.config.Claims.Release(o.Stream, epoch)
		return media.Answer{}, err
	}
	answer, conn, begin, err := s.open(o, remote, p.params(), negotiate.Local{})
	if err != nil {
		st.release(p)
		s.config.Claims.Release(o.Stream, epoch)
		return media.Answer{}, err
	}
	p.conn = conn
	p.arrival.begin(&s.half)
	s.enter(o.Session, p)
	s.running.Go(func() { p.run(s.base) }) // ended by close, at the latest by s.stop
	begin()
	return answer, nil
}

// Subscribe answers a WHEP offer; media comes when the viewer has connected and
// the stream is live.
func (s *SFU) Subscribe(ctx context.Context, o media.Offer) (media.Answer, error) {
	policy := s.config.Policy(o.Stream)
	nc := negotiate.DefaultConfig()
	nc.REMB = false // arrival reports say more
	nc.Lite = s.config.Carrier != CarrierLite
	nc.Channels = nc.Lite && s.config.Channel != nil
	if err := s.gate.ask(admit.Viewer, time.Now()); err != nil {
		return media.Answer{}, err
	}
	st, err := s.admit(o.Stream)
	if err != nil {
		return media.Answer{}, err
	}
	defer st.pending.Add(-1)
	if policy.Absent == media.AbsentRefuse && !st.live() {
		return media.Answer{}, media.ErrNotLive
	}
	nc.Codecs = st.preferred(nc.Codecs)
	remote, err := negotiate.Subscribe(o.SDP, nc)
	if err != nil {
		return media.Answer{}, err
	}
	if err := st.decodable(remote); err != nil {
		return media.Answer{}, err
	}
	v := newViewer(st, o, remote)
	v.log = context.WithoutCancel(ctx)
	local := negotiate.Local{CNAME: token(12), MSID: string(o.Stream), Stereo: true, SSRC: map[media.Kind]negotiate.Pair{}}
	for _, t := range v.tracks {
		if t != nil {
			local.SSRC[t.kind] = negotiate.Pair{Media: t.ssrc, RTX: t.rtxSSRC}
			v.cname = local.CNAME
		}
	}
	answer, conn, begin, err := s.open(o, remote, v.params(), local)
	if err != nil {
		v.shard.viewers.Add(-1)
		return media.Answer{}, err
	}
	v.conn = conn
	v.arrival.begin(&s.half)
	s.enter(o.Session, v)
	st.watch(v)
	begin()
	return answer, nil
}

// open makes the transport of a session and the answer that describes it. Its
// callbacks may be called once begin was.
func (s *SFU) open(o media.Offer, r *negotiate.Remote, p transport.Params, l negotiate.Local) (a media.Answer, c conn, begin func(), err error) {
	p.Credentials = credentials(r.Ufrag, r.Pwd)
	p.Active = r.Setup == "active"
	for _, f := range r.Fingerprints {
		p.Fingerprints = append(p.Fingerprints, transport.Fingerprint{Hash: f.Algorithm, Value: f.Value})
	}
	c, begin, err = s.carry(o, r, p)
	if err != nil {
		return media.Answer{}, nil, nil, err
	}
	l.Ufrag, l.Pwd = p.Credentials.Ufrag, p.Credentials.Pwd
	l.Fingerprint = s.endpoint.Fingerprint()
	l.Full = s.full(r)
	l.Candidates = s.candidates(o.Arrived, o.Remote)
	l.Origin = random64() >> 1 // RFC 9429 section 5.2.1: below 2^63
	return media.Answer{SDP: r.Answer(l), ICE: l.Ufrag}, c, begin, nil
}

// Trickle takes a client's candidates. They are needed of ICE-lite clients alone: others
// show their address by checking ours, and the server sends nothing to addresses that
// an offer merely names.
func (s *SFU) Trickle(_ context.Context, id media.SessionID, f media.Fragment) error {
	sess, err := s.lookup(id)
	if err != nil {
		return err
	}
	if full, ok := sess.transport().(*pion.Conn); ok {
		full.Trickle(pion.Allowed(f.Candidates, f.Remote))
	}
	return nil
}

// Restart begins a new ICE generation of a session (RFC 9725 section 4.3.3).
func (s *SFU) Restart(_ context.Context, id media.SessionID, f media.Fragment) (media.Fragment, error) {
	sess, err := s.lookup(id)
	if err != nil {
		return media.Fragment{}, err
	}
	if len(f.Ufrag) < minUfrag || len(f.Pwd) < minPwd {
		return media.Fragment{}, fmt.Errorf("%w: a restart needs an ice-ufrag of %d characters or more and an ice-pwd of %d",
			media.ErrBadFragment, minUfrag, minPwd)
	}
	c := credentials(f.Ufrag, f.Pwd)
	if err := sess.restart(c); err != nil {
		return media.Fragment{}, err
	}
	conn := sess.transport()
	full, isFull := conn.(*pion.Conn)
	if isFull {
		full.Trickle(pion.Allowed(f.Candidates, f.Remote))
	}
	answer := media.Fragment{Ufrag: c.Ufrag, Pwd: c.Pwd, MID: f.MID, Lite: !isFull, End: true}
	answer.Candidates = again(s.candidates(f.Arrived, f.Remote), conn.Network(), conn.Remote())
	return answer, nil
}

// Hangup ends a session.
func (s *SFU) Hangup(_ context.Context, id media.SessionID, why error) error {
	sess, err := s.lookup(id)
	if err != nil {
		return err
	}
	if why == nil {
		why = media.ErrHangup
	}
	sess.close(why)
	return nil
}

// View returns what a session's owner may know now, and a channel that is
// closed at the next change.
func (s *SFU) View(id media.SessionID) (media.SessionView, <-chan struct{}, error) {
	sess, err := s.lookup(id)
	if err != nil {
		return media.SessionView{Ended: true}, nil, err
	}
	changed := sess.belongs().changed.wait() // before the view, so that no change falls between
	v := sess.view()
	v.Reconnect = s.isDraining()
	return v, changed, nil
}

// Choose sets which layers a viewer gets.
func (s *SFU) Choose(id media.SessionID, c media.LayerChoice) error {
	sess, err := s.lookup(id)
	if err != nil {
		return err
	}
	v, ok := sess.(*viewer)
	if !ok {
		return fmt.Errorf("%w: a publisher has no layers to choose", media.ErrBadChoice)
	}
	return v.choose(c)
}

// ChooseAudio sets which audio track a viewer gets: by its name, or by languages (RFC
// 4647), the dearest first; "" is the first track.
func (s *SFU) ChooseAudio(id media.SessionID, audio string) error {
	sess, err := s.lookup(id)
	if err != nil {
		return err
	}
	v, ok := sess.(*viewer)
	if !ok {
		return fmt.Errorf("%w: a publisher has no audio track to choose", media.ErrBadChoice)
	}
	return v.chooseAudio(audio)
}

// Streams returns the state of every stream that has a publisher or viewers.
func (s *SFU) Streams() []media.StreamStatus {
	streams := s.allStreams()
	all := make([]media.StreamStatus, 0, len(streams))
	for _, st := range streams {
		all = append(all, st.status())
	}
	return all
}

// Stream returns the state of one stream.
func (s *SFU) Stream(id media.StreamID) (media.StreamStatus, error) {
	s.mu.Lock()
	st := s.streams[id]
	s.mu.Unlock()
	if st == nil {
		return media.StreamStatus{}, media.ErrNoStream
	}
	return st.status(), nil
}

// ended takes a session out of the registry and tells who answers for it.
func (s *SFU) ended(kind string, id media.SessionID, why error) {
	s.leave(id)
	s.metrics.sessionsEnded.WithLabelValues(kind, reasonLabel(why)).Inc()
	if s.config.Ended != nil {
		s.config.Ended(id, why)
	}
}

// short is a session's name for logs: enough to tell sessions apart, too little to act on one.
func short(id media.SessionID) string { return string(id[:min(len(id), 12)]) }

func random64() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// random32 is never zero: an SSRC of 0 means "none" here.
func random32() uint32 { return uint32(random64()) | 1 }
