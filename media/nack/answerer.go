package nack

import "time"

// AnswererConfig bounds what one viewer's track gets again.
type AnswererConfig struct {
	// MaxResends of one packet.
	MaxResends int
	// MinGap lies between two resends of one packet; the round-trip time, if that
	// is longer.
	MinGap time.Duration
	// Share of the bytes sent that resends may add.
	Share float64
	// Floor is what resends may take in any case, in bytes per second. In each
	// second the larger one of Share and Floor holds, not their sum.
	Floor int
	// Burst is how many bytes may be saved up; or one second of Share, if that is
	// more.
	Burst int
}

// DefaultAnswererConfig resends a packet at most 3 times and adds at most 20 %
// to what is sent: more loss than that is congestion, which resends make worse.
// The floor of 50 kbit/s repairs audio (32–64 kbit/s) at any loss. The burst is
// 12 full packets, 100 ms of a link of 1.2 Mbit/s.
func DefaultAnswererConfig() AnswererConfig {
	return AnswererConfig{MaxResends: 3, MinGap: 20 * time.Millisecond, Share: 0.2, Floor: 6250, Burst: 15000}
}

const (
	// slots is how many packets back the Answerer remembers, a power of two; as
	// many as sfu/munge can find again.
	slots = 512
	// forget is when a number means another packet: longer than any packet is
	// kept for resending (8 s), shorter than numbers need to come round again, but
	// for streams of more than 6500 packets/s, whose resends may then be refused.
	forget = 10 * time.Second
	// tick is the unit in which times of resends are kept, to fit an entry into 8
	// bytes.
	tick = 100 * time.Microsecond
)

// resend is what is known of one packet that was sent again.
type resend struct {
	at    uint32 // in ticks since the start
	seq   uint16
	tries uint8
}

// Answerer decides which packets of one track one viewer gets again.
type Answerer struct {
	cfg     AnswererConfig
	resends []resend // by number; made at the first request, as most viewers never ask

	start, last time.Time
	tokens      float64 // bytes that may be resent now

	// Of the current second: when it began, the bytes sent, the floor's share of
	// it that has passed, and what was granted. Previous are the bytes sent in the
	// second before.
	began          time.Time
	sent, previous float64
	floor, granted float64
}

// NewAnswerer makes an Answerer.
func NewAnswerer(cfg AnswererConfig) *Answerer {
	return &Answerer{cfg: cfg, tokens: float64(cfg.Burst)}
}

// Sent notes media bytes sent for the first time; they feed the budget.
//
// hot: once per packet or burst and viewer.
func (a *Answerer) Sent(size int, now time.Time) {
	a.pass(now)
	a.sent += float64(size)
	a.credit()
}

// Allow reports whether the packet may be sent again now, and takes it from the
// budget if so. Size is the packet's on the wire. The second resend costs twice
// its size, the third three times: a resend that was lost too speaks for
// congestion. Without this, a link at 98 % load never recovers from half a second
// of overload, as resends of resends fill what is free.
//
// hot: once per packet that a viewer asks for; allocates at the first only.
func (a *Answerer) Allow(outSeq uint16, size int, rtt time.Duration, now time.Time) bool {
	a.pass(now)
	a.credit()
	if a.resends == nil {
		a.resends = make([]resend, slots)
	}
	e := &a.resends[outSeq%slots]
	at := uint32(a.last.Sub(a.start) / tick)
	tries := uint8(0)
	if age := time.Duration(at-e.at) * tick; e.tries > 0 && age < forget {
		switch {
		case e.seq == outSeq:
			tries = e.tries
			// Times are cut to ticks: one more makes sure of the gap.
			if int(tries) >= a.cfg.MaxResends || age < max(rtt, a.cfg.MinGap)+tick {
				return false
			}
		case int16(outSeq-e.seq) < 0:
			// Its place went to a newer packet, and with it the count.
			return false
		}
	}
	cost := float64(size) * float64(tries+1)
	if a.cfg.MaxResends < 1 || cost > a.tokens {
		return false
	}
	a.tokens -= cost
	*e = resend{at: at, seq: outSeq, tries: tries + 1}
	return true
}

// pass moves the clock on. A clock that steps back stands still.
func (a *Answerer) pass(now time.Time) {
	if a.start.IsZero() {
		a.start, a.last, a.began = now, now, now
	}
	if !now.After(a.last) {
		return
	}
	a.floor += float64(a.cfg.Floor) * now.Sub(a.last).Seconds()
	a.last = now
	age := now.Sub(a.began)
	if age < time.Second {
		return
	}
	a.credit()
	a.previous = a.sent
	if age >= 2*time.Second {
		a.previous = 0
	}
	a.began, a.sent, a.floor, a.granted = now, 0, 0, 0
}

// credit grants what the current second has earned beyond what it was granted.
func (a *Answerer) credit() {
	earned := max(a.cfg.Share*a.sent, a.floor)
	depth := max(float64(a.cfg.Burst), a.cfg.Share*max(a.sent, a.previous))
	a.tokens = min(a.tokens+earned-a.granted, depth)
	a.granted = earned
}
