package layer

import "github.com/sluice-live/sluice/media"

// caps holds one dimension of layers inside an encoding (SVC): spatial or temporal.
type caps struct {
	want uint8 // highest that is wanted
	now  uint8 // highest that is forwarded
	seen uint8 // highest that came (spatial only: a higher one needs a key frame)

	// Packets above from of frames older than since were dropped before the cap rose, and stay so when they come late.
	from  uint8
	since media.Ticks
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

// drops reports whether a packet of this layer and frame is left out.
func (c *caps) drops(layer uint8, ts media.Ticks) bool {
	return layer > c.now || layer > c.from && ts < c.since
}

// restart takes the wanted cap at a key frame: nothing after it needs anything before it.
func (c *caps) restart() {
	c.now, c.from, c.since = c.want, all, 0
}

// lower takes a lower wanted cap between two frames; lower layers never need higher ones.
func (c *caps) lower() { c.now = min(c.now, c.want) }

// raise lets layers up to this one in, at a frame by which they may be entered.
func (c *caps) raise(layer uint8, ts media.Ticks) {
	if layer = min(layer, c.want); layer > c.now {
		c.from, c.since = c.now, ts
		c.now = layer
	}
}

// raised reports whether more is wanted, and there, than is forwarded.
func (c *caps) raised() bool { return c.now < min(c.want, c.seen) }
