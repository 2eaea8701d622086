package pace

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

// Kind is what a packet is to the viewer: it decides who waits, and who is refused when the link is thin.
type Kind uint8

// The kinds in order of worth. Sound (first sent or resent) and reports pass at once; video waits; resends of video go
// before video, as they are older, but only within what the estimate leaves; padding is sent only for probes.
const (
	Audio Kind = iota
	Control
	Video
	Resend
	Padding
)

// Verdict is what becomes of a packet.
type Verdict uint8

// A packet is sent now, waits in the caller's queue of its kind, or is refused.
const (
	Now Verdict = iota
	Wait
	Refuse
)

// Config sets the shape of what is sent. Zero fields take the values of DefaultConfig.
type Config struct {
	// Factor is the pace of video in multiples of the estimate.
	Factor float64
	// Found is the pace where the link's limit has been found: faster bursts only
	// fill the queue before it, or overflow it.
	Found float64
	// Burst is how much may leave at once, as time at the pace; MinBurst in bytes.
	Burst    time.Duration
	MinBurst int
	// Open is the burst, instead of Burst, while no limit of the link is known.
	Open time.Duration
	// MaxWait bounds the queue of video: what would wait longer is refused, and the caller drops to the next key frame.
	MaxWait time.Duration
	// MaxResendWait likewise bounds the queue of resends.
	MaxResendWait time.Duration
	// Window is the time over which video and resends together keep to the estimate.
	Window time.Duration
}

// DefaultConfig paces at 2.5 times the estimate, as libwebrtc does, so that a frame of five times the mean size leaves
// within two frame intervals; bursts of 5 ms or two full packets keep the number of wake-ups low and shallow queues dry
// (unpaced bursts lost 90 times more on a shallow path, livekit #4724). Where the link has shown no limit, bursts are of
// 20 ms, which lets a frame leave whole (libwebrtc allows 40 ms): that is sooner, and a fraction of the cost. 400 ms is the longest a picture may be held
// back before a newer one is worth more. 150 ms of resends is what a jitter buffer waits for.
func DefaultConfig() Config {
	return Config{Factor: 2.5, Found: 1.25, Burst: 5 * time.Millisecond, MinBurst: 2500, Open: 20 * time.Millisecond, MaxWait: 400 * time.Millisecond,
		MaxResendWait: 150 * time.Millisecond, Window: 500 * time.Millisecond}
}

// lane is one of the caller's queues, as the Pacer counts it.
type lane struct{ packets, bytes int }

// Pacer spreads one viewer's packets. It is not safe for concurrent use.
type Pacer struct {
	cfg  Config
	rate float64 // the estimate in bytes per second

	factor float64 // the pace now, in multiples of the rate
	found  bool
	open   bool

	last   time.Time
	tokens float64 // bytes that may leave now; below zero after sound, or a packet larger than what was left
	spare  float64 // bytes by which all that was sent stays below the estimate
	video  lane
	resend lane
}

// New makes a Pacer for a rate. Its clock starts with the first call that is given a time.
func New(cfg Config, rate media.Bitrate) *Pacer {
	d := DefaultConfig()
	if cfg.Factor <= 0 {
		cfg.Factor = d.Factor
	}
	if cfg.Found <= 0 {
		cfg.Found = d.Found
	}
	if cfg.Burst <= 0 {
		cfg.Burst = d.Burst
	}
	if cfg.MinBurst <= 0 {
		cfg.MinBurst = d.MinBurst
	}
	if cfg.Open < cfg.Burst {
		cfg.Open = max(d.Open, cfg.Burst)
	}
	if cfg.MaxWait <= 0 {
		cfg.MaxWait = d.MaxWait
	}
	if cfg.MaxResendWait <= 0 {
		cfg.MaxResendWait = d.MaxResendWait
	}
	if cfg.Window <= 0 {
		cfg.Window = d.Window
	}
	p := &Pacer{cfg: cfg, rate: max(1, float64(rate)/8), factor: cfg.Factor}
	p.tokens, p.spare = p.burst(), p.rate*cfg.Window.Seconds()
	return p
}

// SetRate takes what may be sent from now on. While a queue stands on the link (congested), bursts only make it longer:
// the pace is the rate itself, and what was saved for resends is forfeit.
func (p *Pacer) SetRate(rate media.Bitrate, congested bool, now time.Time) {
	p.pass(now)
	p.rate = max(1, float64(rate)/8)
	was := p.factor
	p.factor = p.cfg.Factor
	if p.found {
		p.factor = p.cfg.Found
	}
	if congested {
		if p.factor = 1; was != 1 {
			p.spare = min(p.spare, 0)
		}
	}
	p.tokens = min(p.tokens, p.burst())
	p.spare = min(p.spare, p.depth())
}

// SetOpen says whether the link was measured and has shown no limit. It holds at once.
func (p *Pacer) SetOpen(open bool) { p.open = open }

// SetFound says whether the link's limit is known: the rate is what it carries,
// not merely what was tried. It holds from the next SetRate on.
func (p *Pacer) SetFound(found bool) { p.found = found }

// Push says what becomes of a packet of size bytes on the wire. After Now it is paid for. After Wait the caller puts it
// at the end of its queue of that kind (one for Video, one for Resend), and sends it when Due says so. After Refuse it
// is dropped: video to the next key frame, a resend for good or until it is asked for again.
//
// hot: once per packet and viewer.
func (p *Pacer) Push(size int, kind Kind, now time.Time) Verdict {
	p.pass(now)
	switch kind {
	case Video:
		return p.offer(&p.video, size, p.cfg.MaxWait, p.video.packets+p.resend.packets == 0)
	case Resend:
		if float64(size+p.resend.bytes) > p.spare {
			return Refuse
		}
		return p.offer(&p.resend, size, p.cfg.MaxResendWait, p.resend.packets == 0)
	case Padding:
		if p.video.packets+p.resend.packets > 0 {
			return Refuse // there is better to send
		}
	}
	p.pay(size)
	return Now
}

// offer sends or queues a packet of one lane.
//
// hot:
func (p *Pacer) offer(l *lane, size int, limit time.Duration, free bool) Verdict {
	if free && p.tokens > 0 {
		p.pay(size)
		return Now
	}
	// The first packet always finds a place, so that a rate near zero stops nobody for ever.
	if l.packets > 0 && float64(l.bytes+size) > p.rate*p.factor*limit.Seconds() {
		return Refuse
	}
	l.packets++
	l.bytes += size
	return Wait
}

// Due returns the queue whose first packet may leave now, Resend or Video. The caller takes that packet out, sends it
// and tells Pop; and asks again, until ok is false.
//
// hot:
func (p *Pacer) Due(now time.Time) (kind Kind, ok bool) {
	p.pass(now)
	switch {
	case p.tokens <= 0:
		return 0, false
	case p.resend.packets > 0:
		return Resend, true
	case p.video.packets > 0:
		return Video, true
	}
	return 0, false
}

// Pop notes that the first packet of a queue was sent.
//
// hot:
func (p *Pacer) Pop(size int, kind Kind) {
	p.Drop(size, kind)
	p.pay(size)
}

// Drop notes that a packet was taken from a queue and not sent.
func (p *Pacer) Drop(size int, kind Kind) {
	l := &p.video
	if kind == Resend {
		l = &p.resend
	}
	l.packets--
	l.bytes -= size
	if l.packets <= 0 {
		*l = lane{}
	}
}

// Next returns when a queued packet is due; zero when none waits.
func (p *Pacer) Next() time.Time {
	if p.video.packets+p.resend.packets == 0 {
		return time.Time{}
	}
	if p.tokens > 0 {
		return p.last
	}
	// One byte more than the debt, as only what is above zero may be spent.
	return p.last.Add(time.Duration((1-p.tokens)/(p.rate*p.factor)*float64(time.Second)) + time.Microsecond)
}

// Waiting returns how long the last packet of video now queued will wait at this pace.
func (p *Pacer) Waiting() time.Duration {
	return time.Duration((float64(p.video.bytes+p.resend.bytes) - p.tokens) / (p.rate * p.factor) * float64(time.Second))
}

// Spare returns how many bytes may be resent within the estimate. Ask before the answerer spends a try on a packet.
func (p *Pacer) Spare(now time.Time) int {
	p.pass(now)
	return max(0, int(p.spare)-p.resend.bytes)
}

// pay takes a sent packet from both budgets.
//
// hot:
func (p *Pacer) pay(size int) {
	// Sound may overdraw, but for no longer than 100 ms of the pace: then it is video that is too much, and waits in
	// turn; a debt without a floor would never be paid on a link thinner than the sound.
	p.tokens = max(p.tokens-float64(size), -p.rate*p.factor/10-float64(size))
	p.spare = max(p.spare-float64(size), -p.depth())
}

// pass moves the clock on. A clock that steps back stands still.
//
// hot:
func (p *Pacer) pass(now time.Time) {
	if p.last.IsZero() {
		p.last = now
	}
	d := now.Sub(p.last).Seconds()
	if d <= 0 {
		return
	}
	p.last = now
	p.tokens = min(p.tokens+p.rate*p.factor*d, p.burst())
	p.spare = min(p.spare+p.rate*d, p.depth())
}

// burst is the depth of the bucket.
//
// hot:
func (p *Pacer) burst() float64 {
	d := p.cfg.Burst
	if p.open {
		d = p.cfg.Open
	}
	return max(float64(p.cfg.MinBurst), p.rate*p.factor*d.Seconds())
}

// depth is what all kinds together may save up or overdraw within the window.
//
// hot:
func (p *Pacer) depth() float64 { return p.rate * p.cfg.Window.Seconds() }
