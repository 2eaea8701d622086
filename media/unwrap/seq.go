package unwrap

const (
	// firstSeq is added to the first number of a stream, so that packets which
	// arrive late stay positive.
	firstSeq = 1 << 16
	// maxDropout is the largest gap that loss alone explains, either way. It is
	// MAX_DROPOUT of RFC 3550 appendix A.1: a minute at 50 packets/s, 1.5 s at
	// the 20 Mbit/s that a publisher may send.
	maxDropout = 3000
	// maxDoubt is the largest gap that waits for a second packet to confirm it.
	// No network keeps a packet for 10000 others.
	maxDoubt = 10000
	// memory is for how many packets after a restart the numbers before it are
	// still recognised: reordered packets and repairs arrive within a second.
	memory = 500
)

// Seq extends 16-bit sequence numbers to 64 bits. The zero value is ready.
type Seq struct {
	top     uint64 // the highest number given; 0 means none yet
	before  uint64 // the highest number before the last restart
	recall  int    // packets for which before is still good
	suspect uint16 // a lone packet far away, one of two that tell a restart
	doubt   bool   // suspect holds one
}

// Unwrap returns the 64-bit number that ends in sn. The first result is
// 1<<16|sn. A jump of more than 3000 either way which a second, consecutive
// packet confirms, or of more than 10000 at once, is a restart of the sender:
// jumped is true, and numbering goes on above every number given before.
//
// The lone packet of a jump in doubt gets a number more than 3000 behind the
// newest: a stray packet is then merely late, it moves neither the numbering
// nor anybody's window.
//
// hot: once per received packet.
func (u *Seq) Unwrap(sn uint16) (seq uint64, jumped bool) {
	if u.top == 0 {
		u.top = firstSeq | uint64(sn)
		return u.top, false
	}
	u.recall = max(u.recall-1, 0)
	delta := int64(int16(sn - uint16(u.top)))
	switch {
	case u.doubt && sn == u.suspect+1:
		return u.restart(sn), true
	case -maxDropout <= delta && delta <= maxDropout:
		u.doubt = false
		seq = uint64(int64(u.top) + delta)
		u.top = max(u.top, seq)
		return seq, false
	case u.recall > 0 && u.isOld(sn):
		return u.before - uint64(uint16(u.before)-sn), false
	case delta < -maxDoubt || delta > maxDoubt:
		return u.restart(sn), true
	}
	u.suspect, u.doubt = sn, true
	if delta > 0 {
		delta -= firstSeq
	}
	return uint64(int64(u.top) + delta), false
}

// isOld tells a late packet of the numbering before the last restart.
func (u *Seq) isOld(sn uint16) bool { return uint16(u.before)-sn <= maxDropout }

// restart goes on at the first number above all others that ends in sn.
func (u *Seq) restart(sn uint16) uint64 {
	u.before, u.recall, u.doubt = u.top, memory, false
	u.top += uint64(sn - uint16(u.top))
	return u.top
}
