package media

import "strconv"

// Closed are captions that pictures carry themselves: a bit for each channel of CEA-608,
// CC1 the lowest, and behind them one for each of the first six services of CEA-708.
type Closed uint16

// CEA608 has the bits of CEA-608: CC1 to CC4.
const CEA608 Closed = 1<<4 - 1

// Channel returns the bit of a channel of CEA-608, 1 to 4; nothing for others.
func Channel(n int) Closed {
	if n < 1 || n > 4 {
		return 0
	}
	return 1 << (n - 1)
}

// Service returns the bit of a service of CEA-708, 1 to 6; nothing for others.
func Service(n int) Closed {
	if n < 1 || n > 6 {
		return 0
	}
	return 1 << (n + 3)
}

// Names are what HLS calls them (INSTREAM-ID, RFC 8216bis section 4.4.6.1): those of
// CEA-608, which players decode; those of CEA-708 where there are no others.
func (c Closed) Names() []string {
	var names []string
	for n := 1; n <= 4; n++ {
		if c&Channel(n) != 0 {
			names = append(names, "CC"+strconv.Itoa(n))
		}
	}
	for n := 1; n <= 6 && c&CEA608 == 0; n++ {
		if c&Service(n) != 0 {
			names = append(names, "SERVICE"+strconv.Itoa(n))
		}
	}
	return names
}

// Closed are the captions that any of the pictures carry.
func (p *Presentation) Closed() (c Closed) {
	for _, r := range p.Renditions {
		c |= r.Closed
	}
	return c
}
