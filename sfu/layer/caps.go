package layer

import "github.com/sluice-live/sluice/media"

// caps holds one dimension of layers inside an encoding (SVC): spatial or temporal.
type caps struct {
	want uint8 // highest that is wanted
	now  uint8 // highest that is forwarded
	seen uint8 // highest that came (spatial only: a higher one needs a key frame)

	// past are the last changes, the newest first: a packet that comes late is judged as the rest of its frame was.
	past [4]change
}

// change says that up to its time the cap was another.
type change struct {
	until  media.Ticks
	before uint8
}

func newCaps() caps { return caps{want: all, now: all} }

// lowest returns the lower of two limits; negative ones are not given.
func lowest(a, b int) uint8 {
	l := uint8(all)
	if a >= 0 && a < all {
		l = uint8(a)
	}
	if b >= 0 && b < int(l) {
		l = uint8(b)
	}
	return l
}

// at returns the cap for the frame of this time.
func (c *caps) at(ts media.Ticks) uint8 {
	cap := c.now
	for _, p := range c.past {
		if ts >= p.until {
			break
		}
		cap = p.before
	}
	return cap
}

// drops reports whether a packet of this layer and frame is left out.
func (c *caps) drops(layer uint8, ts media.Ticks) bool { return layer > c.at(ts) }

// set changes the cap from the frame of this time on.
func (c *caps) set(cap uint8, ts media.Ticks) {
	if cap == c.now {
		return
	}
	copy(c.past[1:], c.past[:])
	c.past[0] = change{ts, c.now}
	c.now = cap
}

// begin takes the wanted cap at the first packet of a source.
func (c *caps) begin() { c.now, c.seen, c.past = c.want, 0, [4]change{} }

// restart takes the wanted cap at a key frame: nothing after it needs anything before it.
func (c *caps) restart(ts media.Ticks) {
	c.seen = 0
	c.set(c.want, ts)
}

// lower takes a lower wanted cap between two frames; lower layers never need higher ones.
func (c *caps) lower(ts media.Ticks) { c.set(min(c.now, c.want), ts) }

// raise lets layers up to this one in, at a frame by which they may be entered.
func (c *caps) raise(layer uint8, ts media.Ticks) { c.set(max(c.now, min(layer, c.want)), ts) }

// raised reports whether more is wanted, and there, than is forwarded.
func (c *caps) raised() bool { return c.now < min(c.want, c.seen) }
