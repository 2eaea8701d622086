package allocate_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pion/rtcp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/bwe"
	"github.com/sluice-live/sluice/media/bwe/link"
	"github.com/sluice-live/sluice/media/nack"
	"github.com/sluice-live/sluice/media/pace"
	"github.com/sluice-live/sluice/sfu/allocate"
)

// piece is one packet of video as it waits to be sent, or to be asked for again.
type piece struct {
	frame, index, of int
	key              bool
	layer, size      int
	seq              uint16
}

type flight struct {
	at    time.Time
	twcc  uint16
	piece *piece // nil: sound or padding
	sound bool
	sent  time.Time
}

type report struct {
	at   time.Time
	cc   *rtcp.TransportLayerCC
	nack []uint16
}

// house is one viewer of a publisher with layers, from pacer to screen, in virtual time: what package sfu does with the
// three kernels, and what a browser does with the packets.
type house struct {
	now      time.Time
	layers   []allocate.Option
	est      *bwe.Estimator
	pacer    *pace.Pacer
	alloc    *allocate.Allocator
	answerer *nack.Answerer
	down, up *link.Link
	rx       *link.Receiver

	twcc, seq        uint16
	frame            int
	current, target  int // layers; -1: none
	keyAt            time.Time
	resync           bool
	queue            [pace.Padding + 1][]piece
	sentPieces       map[uint16]piece
	probeLeft        int
	probeRate, owed  float64
	wanted           media.Bitrate
	switches         int
	offered, resent  []int // bytes per second of time
	flights          []flight
	reports          []report
	seconds          []int // share of time per layer, in ms
	soundSent, sound int
	late             int
	queued           []time.Duration

	screen screen
}

// screen is the browser: it asks for what is missing, and shows what it can.
type screen struct {
	newest  uint16
	begun   bool
	missing map[uint16]*ask
	frames  map[int]*frame
	next    int
	shown   []time.Duration // when, since the start
}

type ask struct {
	at    time.Time
	times int
}

type frame struct {
	got, of int
	key     bool
	seen    [200]bool
}

func newHouse(layers []allocate.Option, seed uint64, steps ...link.Step) *house {
	back := make([]link.Step, len(steps))
	for i, s := range steps {
		back[i] = link.Step{At: s.At, Path: link.Path{Delay: s.Path.Delay, Loss: s.Path.Loss, Down: s.Path.Down}}
	}
	h := &house{now: start, layers: layers, est: bwe.New(bwe.Config{}), alloc: allocate.New(allocate.Config{}), answerer: nack.NewAnswerer(nack.DefaultAnswererConfig()),
		down: link.New(start, seed, steps...), up: link.New(start, seed+1, back...), rx: link.NewReceiver(start, 0), current: -1, target: -1,
		sentPieces: map[uint16]piece{}, seconds: make([]int, len(layers)+1),
		screen: screen{missing: map[uint16]*ask{}, frames: map[int]*frame{}}}
	h.pacer = pace.New(pace.Config{}, h.est.Target())
	return h
}

func (h *house) run(d time.Duration) *house {
	for end := h.now.Add(d); h.now.Before(end); h.now = h.now.Add(ms) {
		at := h.now.Sub(start)
		if at%time.Second == 0 {
			h.offered, h.resent = append(h.offered, 0), append(h.resent, 0)
		}
		h.arrive(at)
		h.listen()
		if at%(50*ms) == 0 {
			h.choose()
		}
		if at%(20*ms) == 0 {
			h.soundSent++
			h.pacer.Push(200, pace.Audio, h.now)
			h.send(200, nil, true, false)
		}
		if at/ms*3%100 < 3 {
			h.picture(at)
		}
		h.drain()
		h.probe(at)
		h.seconds[h.current+1]++
		h.queued = append(h.queued, h.down.Waiting(h.now))
	}
	return h
}

// choose is what happens after each report, and each 50 ms.
func (h *house) choose() {
	s := h.est.State()
	h.pacer.SetRate(s.Target, s.Congested, h.now)
	r := h.alloc.Decide(allocate.Input{Estimate: s.Estimate, Congested: s.Congested, Stalled: s.Stalled, Audio: 80_000,
		Videos: []allocate.Video{{Key: 1, Options: h.layers}}}, h.now)
	h.wanted = r.Wanted
	target := -1
	if c := r.Choices[0]; !c.Paused {
		target = slices.IndexFunc(h.layers, func(o allocate.Option) bool { return o.Layer == c.Option.Layer })
	}
	if target == h.target {
		return
	}
	h.target = target
	h.switches++
	h.keyAt = h.now.Add(80 * ms) // a request and an encoder
	if target < 0 || target < h.current {
		h.clear() // what waits is of a layer that does not fit
	}
	if target < 0 {
		h.current = -1
	}
}

// clear drops what waits; what comes next is a key frame.
func (h *house) clear() {
	for _, k := range []pace.Kind{pace.Video, pace.Resend} {
		for _, p := range h.queue[k] {
			h.pacer.Drop(p.size, k)
		}
		h.queue[k] = nil
	}
	h.resync = true
}

// picture is a frame of the publisher: a key frame each 2 s, or when one was asked for.
func (h *house) picture(at time.Duration) {
	key := at%(2*time.Second) < 33*ms
	if !h.keyAt.IsZero() && !h.now.Before(h.keyAt) {
		key, h.keyAt = true, time.Time{}
	}
	if key && h.target >= 0 {
		h.current, h.resync = h.target, false
	}
	if h.current < 0 || h.resync {
		return
	}
	size := float64(h.layers[h.current].Bitrate) / 8 / 30 * 0.9
	if key {
		size *= 6
	}
	h.frame++
	n := int(size)/1150 + 1
	for i := range n {
		p := piece{frame: h.frame, index: i, of: n, key: key, layer: h.current, size: int(size)/n + 60}
		switch h.pacer.Push(p.size, pace.Video, h.now) {
		case pace.Refuse:
			h.resync, h.keyAt = true, h.now.Add(500*ms)
			return
		case pace.Wait:
			p.seq = h.number(p)
			h.queue[pace.Video] = append(h.queue[pace.Video], p)
		case pace.Now:
			p.seq = h.number(p)
			h.send(p.size, &p, false, false)
		}
	}
}

func (h *house) number(p piece) uint16 {
	h.seq++
	p.seq = h.seq
	h.sentPieces[h.seq] = p
	return h.seq
}

func (h *house) drain() {
	for {
		k, ok := h.pacer.Due(h.now)
		if !ok {
			return
		}
		p := h.queue[k][0]
		h.queue[k] = h.queue[k][1:]
		h.pacer.Pop(p.size, k)
		h.send(p.size, &p, false, k == pace.Resend)
	}
}

// send puts a packet on the wire.
func (h *house) send(size int, p *piece, sound, again bool) {
	padding := p == nil && !sound
	h.est.Sent(h.twcc, size, h.now, padding)
	if !again {
		h.answerer.Sent(size, h.now)
	}
	if !padding && h.probeLeft > 0 {
		h.probeLeft -= size
		h.owed -= float64(size)
	}
	if at, ok := h.down.Offer(size, h.now); ok {
		h.flights = append(h.flights, flight{at, h.twcc, p, sound, h.now})
	}
	h.twcc++
	h.offered[len(h.offered)-1] += size
	if again {
		h.resent[len(h.resent)-1] += size
	}
}

func (h *house) probe(at time.Duration) {
	if h.probeLeft <= 0 && at%(20*ms) == 0 {
		if rate, n, ok := h.est.Probe(h.now, h.wanted); ok {
			h.probeLeft, h.probeRate, h.owed = n, float64(rate)/8e3, 0
		}
	}
	if h.probeLeft <= 0 {
		return
	}
	size := float64(min(1200, max(200, h.probeLeft/8)))
	for h.owed += h.probeRate; h.owed >= 0 && h.probeLeft > 0; h.owed -= size {
		if h.pacer.Push(int(size), pace.Padding, h.now) == pace.Refuse {
			return
		}
		h.send(int(size), nil, false, false)
		h.probeLeft -= int(size)
	}
}

// listen takes what comes back.
func (h *house) listen() {
	for len(h.reports) > 0 && !h.reports[0].at.After(h.now) {
		r := h.reports[0]
		h.reports = h.reports[1:]
		if r.cc != nil {
			a, err := link.Wire(r.cc)
			if err != nil {
				panic(err)
			}
			h.est.Feedback(a, h.now)
			h.choose()
		}
		for _, seq := range r.nack {
			p, ok := h.sentPieces[seq]
			if !ok || p.layer != h.current || p.layer != h.target || h.pacer.Spare(h.now) < p.size || !h.answerer.Allow(seq, p.size, h.est.State().RTT, h.now) {
				continue
			}
			switch h.pacer.Push(p.size, pace.Resend, h.now) {
			case pace.Now:
				h.send(p.size, &p, false, true)
			case pace.Wait:
				h.queue[pace.Resend] = append(h.queue[pace.Resend], p)
			}
		}
	}
}

// arrive is the browser's side.
func (h *house) arrive(at time.Duration) {
	for len(h.flights) > 0 && !h.flights[0].at.After(h.now) {
		f := h.flights[0]
		h.flights = h.flights[1:]
		h.rx.Arrive(f.twcc, f.at)
		if f.sound {
			h.sound++
			if f.at.Sub(f.sent) > h.down.Path(f.at).Delay+2*h.down.Path(f.at).Jitter+150*ms {
				h.late++
			}
		}
		if f.piece != nil {
			h.screen.take(f.piece, h.now, at)
		}
	}
	if at%(20*ms) == 0 {
		if asks := h.screen.asks(h.now); len(asks) > 0 {
			h.back(report{nack: asks})
		}
	}
	if at%(100*ms) == 0 {
		for _, cc := range h.rx.Report() {
			h.back(report{cc: cc})
		}
	}
}

func (h *house) back(r report) {
	var ok bool
	if r.at, ok = h.up.Offer(100, h.now); ok {
		h.reports = append(h.reports, r)
	}
}

// take enters a packet, and shows what is complete: the next frame, or a later key frame.
func (s *screen) take(p *piece, now time.Time, at time.Duration) {
	if !s.begun {
		s.begun, s.newest = true, p.seq-1
	}
	for d := int16(p.seq - s.newest); d > 0; d-- {
		s.newest++
		s.missing[s.newest] = &ask{}
	}
	delete(s.missing, p.seq)
	f := s.frames[p.frame]
	if f == nil {
		f = &frame{of: p.of, key: p.key}
		s.frames[p.frame] = f
	}
	if !f.seen[p.index] {
		f.seen[p.index] = true
		f.got++
	}
	for {
		if f := s.frames[s.next]; f != nil && f.got == f.of {
			s.show(s.next, at)
			continue
		}
		best := -1
		for n, f := range s.frames {
			if n > s.next && f.key && f.got == f.of && n > best {
				best = n
			}
		}
		if best < 0 {
			return
		}
		s.show(best, at)
	}
}

func (s *screen) show(n int, at time.Duration) {
	s.shown = append(s.shown, at)
	s.next = n + 1
	for i := range s.frames {
		if i <= n {
			delete(s.frames, i)
		}
	}
}

// asks are the packets to ask for: at once, and again each 100 ms, ten times, a thousand at most, as Chromium does.
func (s *screen) asks(now time.Time) (out []uint16) {
	for seq, a := range s.missing {
		if a.times >= 10 {
			delete(s.missing, seq)
			continue
		}
		if now.Sub(a.at) >= 100*ms && len(out) < 1000 {
			a.at = now
			a.times++
			out = append(out, seq)
		}
	}
	slices.Sort(out)
	return out
}

// freeze is the time in gaps over 200 ms within a stretch, and the longest.
func (h *house) freeze(from, to time.Duration) (sum, longest time.Duration) {
	last := from
	for _, t := range append(slices.Clone(h.screen.shown), to) {
		if t < from || t > to {
			continue
		}
		if gap := t - last; gap > 200*ms {
			sum += gap
			longest = max(longest, gap)
		}
		last = t
	}
	return sum, longest
}

func (h *house) summary(t *testing.T, name string) {
	q := slices.Clone(h.queued)
	slices.Sort(q)
	all := h.now.Sub(start)
	sum, longest := h.freeze(time.Second, all)
	t.Logf("%-12s freeze %5.1f %% longest %4d ms, sound lost %.1f %% late %.1f %%, queue p50 %d p95 %d ms, switches %d, ms per layer %v, kbit/s offered %v resent %v", name,
		100*float64(sum)/float64(all), longest/ms, 100-100*float64(h.sound)/float64(h.soundSent), 100*float64(h.late)/float64(h.soundSent),
		q[len(q)/2]/ms, q[len(q)*95/100]/ms, h.switches, h.seconds, kilobits(h.offered), kilobits(h.resent))
}

func kilobits(b []int) []int {
	out := make([]int, len(b))
	for i := range b {
		out[i] = b[i] * 8 / 1000
	}
	return out
}
