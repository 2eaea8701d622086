package conform

// fate is what became of a frame.
type fate uint8

const (
	unknown fate = iota
	fine         // it came, and can be decoded
	excused      // it cannot, because of a loss that was told
)

// truth holds frames against what the test knows of them.
type truth struct {
	lost  map[uint64]bool
	known map[uint64]fate
}

func (t *truth) judge(c *Checker, p *picture) {
	for from := 0; from < len(p.packets); {
		r := &p.packets[from]
		to := from
		for to < len(p.packets) && p.packets[to].Frame == r.Frame {
			to++
		}
		if r.Frame != 0 {
			t.frame(c, p, p.packets[from:to], to == len(p.packets))
		}
		from = to
	}
}

// frame judges one layer frame.
func (t *truth) frame(c *Checker, p *picture, packets []received, last bool) {
	r := &packets[0]
	became := fine
	if len(packets) != r.Packets {
		became = excused
		hole := p.gapBefore || p.gapInside || p.gapAfter
		if !t.lost[r.Frame] && !(c.Holes && hole) && !(p.final && last) {
			c.fault(r, "half a frame: %d of %d packets of frame %d", len(packets), r.Packets, r.Frame)
		}
	}
	for _, need := range r.Needs {
		switch {
		case t.known[need] == fine:
		case t.known[need] == excused || t.lost[need]:
			became = excused
		case c.Holes && c.damaged:
			became = excused
		default:
			c.fault(r, "frame %d needs frame %d, which is not there", r.Frame, need)
			became = excused
		}
	}
	t.known[r.Frame] = became
}
