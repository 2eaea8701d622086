package admit

import "math"

// The bounds of what one join is believed to cost, in seconds of processor
// time: the cheapest stack seen takes 0.2 ms, the dearest 10 ms.
const (
	cheapest = 0.0002
	dearest  = 0.02
	// forget is the weight of a new pair: about the last fifty are remembered.
	forget = 0.02
	// step and most are doublings of the price, for each measurement of a full
	// machine and at most: there and back within some seconds.
	step, most = 0.25, 4
	// spread is how far joins per second must vary, as a variance, to tell their
	// cost from the rest of the load.
	spread = 25
)

// cost learns what a join costs: the slope of processor time over joins, by
// least squares that forget. What runs besides is the line's other end.
type cost struct {
	prior        float64
	excess       float64 // by how many doublings joins seem to cost more than learned
	slope        float64
	n            int
	x, y, xx, xy float64
}

// learn takes joins per second, and processor seconds per second in the same time.
func (c *cost) learn(joins, spent float64) {
	c.excess = max(0, c.excess-step)
	c.n++
	w := max(forget, 1/float64(c.n))
	c.x += (joins - c.x) * w
	c.y += (spent - c.y) * w
	c.xx += (joins*joins - c.xx) * w
	c.xy += (joins*spent - c.xy) * w
	if v := c.xx - c.x*c.x; c.n >= 4 && v > spread {
		c.slope = min(max((c.xy-c.x*c.y)/v, cheapest), dearest)
	}
}

// raise takes note that the processors are full while people join: they come
// too fast, whatever was learned.
func (c *cost) raise() { c.excess = min(c.excess+step, most) }

// seconds is the processor time of one join.
func (c *cost) seconds() float64 {
	price := c.prior
	if c.slope > 0 {
		price = c.slope
	}
	return price * math.Exp2(c.excess)
}
