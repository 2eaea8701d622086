package sfu

import (
	"context"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/srtp/v3"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/demand"
	"github.com/sluice-live/sluice/sfu/feedback"
	"github.com/sluice-live/sluice/sfu/icelite"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"github.com/sluice-live/sluice/sfu/report"
	"github.com/sluice-live/sluice/sfu/transport"
)

const (
	// ingestQueue holds what comes while the publisher's goroutine is not running:
	// 2,000 packets are 0.8 s of 25 Mbit/s. More is dropped and repaired by NACK.
	ingestQueue = 2048
	// burstSize bounds what is handed on at once, so that the first viewer does not
	// wait for a whole key frame.
	burstSize = 64
	// maxSSRCs bounds what a publisher may send under, junk included.
	maxSSRCs = 64
	// maxUpstreams bounds the SSRCs of one publisher: layers, their RTX, audio, and
	// some that are replaced.
	maxUpstreams = 32
	// flowTime is how long a publisher may be silent before it no longer counts as live.
	flowTime = 2 * time.Second
)

// publisher is one WHIP session. Its fields below the line belong to the
// goroutine of run.
type publisher struct {
	st     *stream
	offer  media.Offer
	remote *negotiate.Remote
	epoch  media.Epoch
	source *source
	conn   conn
	log    context.Context // carries the trace id from POST to close

	in      chan []transport.Datagram
	waiting atomic.Int64 // datagrams in it
	ready   chan transport.Keys
	ctx     context.Context
	cancel  context.CancelCauseFunc
	once    sync.Once
	arrival arrival

	state      atomic.Pointer[media.PublisherStatus] // made once a second
	lastMedia  atomic.Int64                          // unix nanoseconds
	firstMedia atomic.Int64
	overflow   atomic.Uint64
	wasFlowing atomic.Bool

	// ───
	opener    *srtp.Context
	sealer    *srtp.Context
	ssrcs     []uint32
	upstreams []*upstream
	clock     report.Clock
	twcc      feedback.TWCC
	remb      feedback.REMB
	twccDue   time.Time
	twccSeen  bool
	books     books
	scratch   []byte
	burst     []*media.Packet
	copies    copies
	arena     packetArena
	reader    reader
	renewed   bool // tracks or layers changed since the last burst
	demand    *demand.Book
	wanted    media.LayerSet // by viewers and sinks, of the video
	heard     bool           // somebody takes the sound
}

func newPublisher(st *stream, o media.Offer, r *negotiate.Remote, e media.Epoch) *publisher {
	ctx, cancel := context.WithCancelCause(context.Background())
	o.SDP = nil // it was read
	p := &publisher{st: st, offer: o, remote: r, epoch: e, in: make(chan []transport.Datagram, ingestQueue),
		ready: make(chan transport.Keys, 1), ctx: ctx, cancel: cancel, scratch: make([]byte, 0, 2048)}
	p.source, p.demand = newSource(e, r), demand.New(demand.DefaultConfig())
	p.books.began, p.log = time.Now(), context.Background()
	return p
}

// params connects the transport to this publisher.
func (p *publisher) params() transport.Params {
	return transport.Params{
		Receive: func(batch []transport.Datagram) {
			n := int64(len(batch))
			if p.waiting.Add(n) <= ingestQueue {
				p.in <- batch // has room for as many batches as datagrams
				return
			}
			p.waiting.Add(-n)
			p.overflow.Add(uint64(n))
		},
		Ready: func(k transport.Keys) {
			p.arrival.end()
			p.ready <- k
		},
		Closed: func(why error) { p.finish(why) },
	}
}

func (p *publisher) close(why error) { p.conn.Close(why) }

// finish runs once, from the transport's Closed.
func (p *publisher) finish(why error) {
	p.once.Do(func() {
		p.cancel(why)
		p.arrival.end()
		p.st.abandoned(p, why)
		p.st.sfu.config.Claims.Release(p.st.id, p.epoch)
		p.st.sfu.ended("publisher", p.offer.Session, why)
	})
}

func (p *publisher) restart(c icelite.Credentials) error { return p.conn.Restart(c) }
func (p *publisher) transport() conn                     { return p.conn }
func (p *publisher) belongs() *stream                    { return p.st }

// flowing reports whether media came lately.
func (p *publisher) flowing() bool {
	at := p.lastMedia.Load()
	return at != 0 && time.Since(time.Unix(0, at)) < flowTime
}

// flowChanged reports whether flowing changed since the last call.
func (p *publisher) flowChanged() bool {
	now := p.flowing()
	return p.wasFlowing.Swap(now) != now
}

// run owns the publisher until its transport is closed.
func (p *publisher) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		in := p.in
		if p.opener == nil { // what comes with the keys' last flight waits for them
			in = nil
		}
		select {
		case <-p.ctx.Done():
			return
		case <-ctx.Done():
			p.close(media.ErrShuttingDown)
			return
		case k := <-p.ready:
			p.established(k)
		case d := <-in:
			p.drain(d)
		case a := <-p.source.asks:
			p.keyFrame(a, time.Now())
		case <-p.source.tally.woken:
			p.weigh(time.Now())
		case <-timer.C:
			p.wake(time.Now())
		}
		timer.Reset(p.next(time.Now()))
	}
}

func (p *publisher) established(k transport.Keys) {
	var err error
	if p.opener, err = k.Inbound(); err == nil {
		p.sealer, err = k.Outbound()
	}
	if err != nil {
		p.close(err)
		return
	}
	if err := p.st.takeover(p); err != nil {
		p.close(err)
		return
	}
	p.st.sfu.log.InfoContext(p.log, "publisher connected", "stream", p.st.id, "session", short(p.offer.Session), "subject", p.offer.Subject,
		"epoch", p.epoch, "after", time.Since(p.offer.At).Round(time.Millisecond), "transport", p.conn.Network())
}

// drain reads all that waits, but never waits for more, and hands it on.
func (p *publisher) drain(batch []transport.Datagram) {
	for n := 0; ; n += len(batch) {
		p.waiting.Add(-int64(len(batch)))
		for _, d := range batch {
			p.packet(d)
			if len(p.burst) >= burstSize {
				p.flush()
			}
		}
		if n < ingestQueue { // under a flood, what is due must be done, too
			select {
			case batch = <-p.in:
				continue
			default:
			}
		}
		p.flush()
		return
	}
}

// packet opens one datagram. Before the keys are there, it is not ours to keep.
func (p *publisher) packet(d transport.Datagram) {
	if p.opener == nil || len(d.B) < 12 {
		return
	}
	// RTCP has packet types 192–223 where RTP has the marker and payload types 64–95 (RFC 5761 section 4).
	if t := d.B[1]; t >= 192 && t <= 223 {
		p.control(d)
		return
	}
	if !p.known(binary.BigEndian.Uint32(d.B[8:])) {
		p.books.unmatched++
		return
	}
	header, payload, err := p.reader.open(p.opener, d.B)
	if err != nil {
		p.books.forged++
		return
	}
	p.conn.Heard(d.At, d.Aside)
	p.lastMedia.Store(d.At.UnixNano())
	p.rtp(header, payload, d.At)
}

// known bounds the SSRCs that are opened at all: the SRTP context keeps a state
// for each, for ever.
//
// hot:
func (p *publisher) known(ssrc uint32) bool {
	for _, s := range p.ssrcs {
		if s == ssrc {
			return true
		}
	}
	if len(p.ssrcs) >= maxSSRCs {
		return false
	}
	p.ssrcs = append(p.ssrcs, ssrc)
	return true
}

// flush hands the burst to shards and sinks. The slice is theirs from then on.
func (p *publisher) flush() {
	if len(p.burst) == 0 {
		return
	}
	if p.renewed {
		p.renewed = false
		p.firstMedia.CompareAndSwap(0, time.Now().UnixNano())
		p.publishTracks(time.Now())
		p.st.changed.notify()
	}
	p.st.spread(p.source, p.burst)
	p.burst = make([]*media.Packet, 0, max(8, len(p.burst)))
}

// next returns how long the goroutine may sleep.
func (p *publisher) next(now time.Time) time.Duration {
	due := p.books.due
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(due) {
			due = t
		}
	}
	if p.twccSeen {
		earlier(p.twccDue)
	}
	for _, u := range p.upstreams {
		if u.rtxOf == nil {
			earlier(u.nack.Next())
			earlier(u.keys.Next())
		}
	}
	return max(time.Millisecond, due.Sub(now))
}

// wake does what is due.
func (p *publisher) wake(now time.Time) {
	if p.sealer == nil {
		p.books.due = now.Add(time.Second)
		return
	}
	if p.twccSeen && !now.Before(p.twccDue) {
		p.sendTransportCC(now)
	}
	p.sendNACKs(now)
	for _, u := range p.upstreams {
		if u.rtxOf != nil {
			continue
		}
		if next := u.keys.Next(); !next.IsZero() && !now.Before(next) {
			if send, gaveUp := u.keys.Wake(now); send {
				p.sendPLI(u)
			} else if gaveUp {
				p.st.sfu.metrics.keyFramesGivenUp.Inc()
			}
		}
	}
	if !now.Before(p.books.due) {
		p.second(now)
	}
}

// second does what is done once a second.
func (p *publisher) second(now time.Time) {
	p.books.due = now.Add(time.Second)
	p.sendReports(now)
	p.refresh(now)
	p.publishTracks(now)
	p.weigh(now)
	status := p.describe(now)
	p.state.Store(&status)
	p.logFindings(status.Health)
	if p.books.overLimit(p.st.policy.MaxBitrate) {
		p.close(media.ErrTooFast)
	}
	if limit := p.st.policy.MaxHeight; limit > 0 && p.height() > limit {
		p.close(media.ErrTooLarge)
	}
}
