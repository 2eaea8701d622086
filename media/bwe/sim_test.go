package bwe_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/bwe"
	"github.com/sluice-live/sluice/media/bwe/link"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const (
	ms     = time.Millisecond
	packet = 1200
)

// sender decides what leaves: greedy ones take all of the target, others have a rate of their own.
type sender struct {
	greedy bool
	video  func(at time.Duration, s bwe.State) media.Bitrate // frames at 30 per second
	wanted media.Bitrate                                     // for probes
}

// sim is one viewer behind one link, in virtual time.
type sim struct {
	e             *bwe.Estimator
	down, up      *link.Link
	rx            *link.Receiver
	now           time.Time
	seq           uint16
	credit        float64
	backlog       int
	probeLeft     int
	probeRate     float64
	probeCredit   float64
	pending       []flight
	reports       []report
	samples       []sample
	bytes, padded int
	every         time.Duration
}

type flight struct {
	seq  uint16
	at   time.Time
	size int
}

type report struct {
	at time.Time
	cc *rtcp.TransportLayerCC
}

type sample struct {
	at    time.Duration
	state bwe.State
	queue time.Duration
	got   int // bytes that arrived in this millisecond
	sent  int
}

func newSim(seed uint64, steps ...link.Step) *sim {
	back := make([]link.Step, len(steps))
	for i, s := range steps {
		back[i] = link.Step{At: s.At, Path: link.Path{Delay: s.Path.Delay, Loss: s.Path.Loss, Down: s.Path.Down}}
	}
	return &sim{e: bwe.New(bwe.DefaultConfig()), down: link.New(epoch, seed, steps...), up: link.New(epoch, seed+1, back...),
		rx: link.NewReceiver(epoch, 30e-6), now: epoch, every: 100 * ms}
}

// send puts one packet on the wire.
func (s *sim) send(size int, probe bool) {
	s.e.Sent(s.seq, size, s.now, probe)
	if at, ok := s.down.Offer(size, s.now); ok {
		s.pending = append(s.pending, flight{s.seq, at, size})
	}
	s.seq++
	s.bytes += size
	if probe {
		s.padded += size
	} else if s.probeLeft > 0 { // media counts in
		s.probeLeft -= size
		s.probeCredit -= float64(size)
	}
}

// run plays for a time, a millisecond at a step.
func (s *sim) run(d time.Duration, from sender) {
	for end := s.now.Add(d); s.now.Before(end); s.now = s.now.Add(ms) {
		at, was := s.now.Sub(epoch), s.bytes
		got := s.deliver(at)
		s.media(at, from)
		s.probe(at, from)
		s.samples = append(s.samples, sample{at, s.e.State(), s.down.Waiting(s.now), got, s.bytes - was})
	}
}

func (s *sim) deliver(at time.Duration) (got int) {
	for len(s.pending) > 0 && !s.pending[0].at.After(s.now) {
		s.rx.Arrive(s.pending[0].seq, s.pending[0].at)
		got += s.pending[0].size
		s.pending = s.pending[1:]
	}
	if at%s.every == 0 {
		for _, cc := range s.rx.Report() {
			if arrives, ok := s.up.Offer(100, s.now); ok {
				s.reports = append(s.reports, report{arrives, cc})
			}
		}
	}
	for len(s.reports) > 0 && !s.reports[0].at.After(s.now) {
		s.e.Feedback(wire(s.reports[0].cc), s.now)
		s.reports = s.reports[1:]
	}
	return got
}

func (s *sim) media(at time.Duration, from sender) {
	target := float64(s.e.Target())
	if from.greedy {
		size := min(packet, max(300, int(target/8/50))) // frames of thin streams are less than a full packet
		for s.credit += target / 8e3; s.credit > 0; s.credit -= float64(size) {
			s.send(size, false)
		}
		return
	}
	if at%(20*ms) == 0 {
		s.send(200, false) // 64 kbit/s of Opus and headers
	}
	if frame := at / ms; frame*3%100 < 3 { // each 33⅓ ms
		size := float64(from.video(at, s.e.State())) / 8 / 30 * 0.9
		if at%(2*time.Second) < 33*ms {
			size *= 7 // a key frame; the mean stays
		}
		s.backlog += int(size)
	}
	s.credit = min(s.credit+2.5*target/8e3, 2500)
	for s.backlog > 0 && s.credit > 0 {
		n := min(packet, s.backlog)
		s.send(n+40, false)
		s.backlog -= n
		s.credit -= float64(n)
	}
}

func (s *sim) probe(at time.Duration, from sender) {
	if at%(20*ms) == 0 && s.probeLeft <= 0 {
		if rate, n, ok := s.e.Probe(s.now, from.wanted); ok {
			s.probeRate, s.probeLeft, s.probeCredit = float64(rate), n, 0
		}
	}
	if s.probeLeft <= 0 {
		return
	}
	size := float64(min(1200, max(200, s.probeLeft/8)))
	for s.probeCredit += s.probeRate / 8e3; s.probeCredit >= 0 && s.probeLeft > 0; s.probeCredit -= size {
		s.send(int(size), true)
		s.probeLeft -= int(size)
	}
}

// part returns the samples of a stretch.
func (s *sim) part(from, to time.Duration) []sample { return s.samples[from/ms : to/ms] }

// rate is what arrived per second of a stretch.
func rate(part []sample) float64 {
	n := 0
	for _, x := range part {
		n += x.got
	}
	return float64(n) * 8e3 / float64(len(part))
}

func offered(part []sample) float64 {
	n := 0
	for _, x := range part {
		n += x.sent
	}
	return float64(n) * 8e3 / float64(len(part))
}

func queueAt(part []sample, share float64) time.Duration {
	q := make([]time.Duration, len(part))
	for i, x := range part {
		q[i] = x.queue
	}
	slices.Sort(q)
	return q[int(share*float64(len(q)-1))]
}

// since is when an estimate first was in bounds, after a time; −1: never.
func (s *sim) since(from time.Duration, low, high media.Bitrate) time.Duration {
	for _, x := range s.samples[from/ms:] {
		if x.state.Estimate >= low && x.state.Estimate <= high {
			return x.at - from
		}
	}
	return -1
}

func lowest(part []sample) media.Bitrate {
	low := part[0].state.Estimate
	for _, x := range part {
		low = min(low, x.state.Estimate)
	}
	return low
}

func constant(rate media.Bitrate) func(time.Duration, bwe.State) media.Bitrate {
	return func(time.Duration, bwe.State) media.Bitrate { return rate }
}

// trace prints a run, for whoever works on the estimator: go test -v.
func (s *sim) trace(t *testing.T, every time.Duration) {
	if !testing.Verbose() {
		return
	}
	for i := 0; i < len(s.samples); i += int(every / ms) {
		x := s.samples[i]
		part := s.samples[max(0, i-int(every/ms)):max(i, 1)]
		t.Logf("%6.1fs est %7d tgt %7d acked %7d sent %7d got %7.0f q %3dms (est %3dms) loss %.2f rtt %v %v cong=%v stall=%v", x.at.Seconds(),
			x.state.Estimate, x.state.Target, x.state.Acked, x.state.Sent, rate(part), x.queue/ms, x.state.Queue/ms, x.state.Loss, x.state.RTT.Round(ms), x.state.Why, x.state.Congested, x.state.Stalled)
	}
}
