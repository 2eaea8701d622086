package nack

import "time"

// AnswererConfig bounds what one viewer's track gets again.
type AnswererConfig struct {
	MaxResends int           // of one packet
	MinGap     time.Duration // between two of one packet; or the round-trip time, if longer
	Share      float64       // of the bytes sent
	Floor      int           // bytes per second that are always allowed
	Burst      int           // bytes that may be saved up at least
}

// DefaultAnswererConfig resends at most 3 times and 20 % of what is sent.
func DefaultAnswererConfig() AnswererConfig {
	return AnswererConfig{MaxResends: 3, MinGap: 20 * time.Millisecond, Share: 0.2, Floor: 6250, Burst: 15000}
}

// Answerer decides which packets of one track one viewer gets again.
type Answerer struct {
	cfg    AnswererConfig
	tokens float64
}

// NewAnswerer makes an Answerer.
func NewAnswerer(cfg AnswererConfig) *Answerer {
	return &Answerer{cfg: cfg, tokens: float64(cfg.Burst)}
}

// Allow reports whether the packet may be sent again now, and takes its bytes
// from the budget if so.
func (a *Answerer) Allow(outSeq uint16, size int, rtt time.Duration, now time.Time) bool {
	if a.tokens < float64(size) {
		return false
	}
	a.tokens -= float64(size)
	return true
}

// Sent notes media bytes sent for the first time; they feed the budget.
func (a *Answerer) Sent(size int, now time.Time) {
	a.tokens = min(a.tokens+a.cfg.Share*float64(size), float64(a.cfg.Burst))
}
