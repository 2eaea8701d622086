package unwrap

import "github.com/sluice-live/sluice/media"

// firstTS is added to the first timestamp, so that earlier ones stay positive.
const firstTS = 1 << 32

// TS extends 32-bit RTP timestamps to 64 bits. The zero value is ready.
type TS struct{ top media.Ticks }

// Unwrap returns the 64-bit time that ends in ts: the one nearest to the
// highest time so far. The first result is 1<<32|ts. It is right as long as
// packets are less than 2^31 ticks apart (6.6 hours of video, 12.4 of audio).
//
// hot: once per received packet.
func (u *TS) Unwrap(ts uint32) media.Ticks {
	if u.top == 0 {
		u.top = firstTS | media.Ticks(ts)
		return u.top
	}
	t := u.top + media.Ticks(int32(ts-uint32(u.top)))
	u.top = max(u.top, t)
	return t
}
