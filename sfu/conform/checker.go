package conform

import (
	"fmt"
	"slices"

	"github.com/sluice-live/sluice/media"
)

// Packet is one RTP packet as a viewer gets it.
type Packet struct {
	Seq        uint16
	TS         uint32
	Marker     bool
	Codec      media.Codec
	Payload    []byte
	Descriptor []byte // AV1 dependency descriptor, nil if there is none

	// What a test knows of the packet's frame beyond what it says; Frame is 0 where nothing is known.
	Frame   uint64   // identity of the (layer) frame
	Packets int      // of the frame
	Needs   []uint64 // frames without which it cannot be decoded
}

// Checker takes the packets of one viewer's track in the order in which they come. The zero value is ready.
type Checker struct {
	// Unmarked lets markers stand anywhere, and pictures end in the middle of a frame: Chromium's VP9 leaves markers out
	// while it pauses its upper spatial layers, and cuts a frame when a key frame empties its pacer.
	Unmarked bool
	// Holes accepts that what needs a frame behind a hole in the numbers came, and the frame never did; with dependency
	// descriptors also behind padding: a frame that is overtaken by the key frame after it is given up.
	Holes bool

	packets []received
	highest int64
	lost    map[uint64]bool
	faults  []string

	damaged bool // something is missing since the last key frame
	last    *picture
	vp8     vp8
	vp9     vp9
	deps    dependencies
	truth   truth
}

type received struct {
	Packet
	seq int64
}

// picture is what has one timestamp: a frame, or those of all spatial layers.
type picture struct {
	packets   []received
	gapBefore bool
	filled    bool // padding came before it
	gapInside bool
	gapAfter  bool
	final     bool // the last one that came: it may not be complete yet
}

func (p *picture) first() *received { return &p.packets[0] }

// Add takes one packet.
func (c *Checker) Add(p Packet) {
	r := received{Packet: p, seq: int64(p.Seq)}
	if len(c.packets) > 0 {
		r.seq = c.highest + int64(int16(p.Seq-uint16(c.highest)))
	}
	if len(c.packets) == 0 || r.seq > c.highest {
		c.highest = r.seq
	}
	c.packets = append(c.packets, r)
}

// Lost says that a packet of this frame was lost before it could be forwarded: what needs it is excused.
func (c *Checker) Lost(frame uint64) {
	if c.lost == nil {
		c.lost = map[uint64]bool{}
	}
	c.lost[frame] = true
}

// Faults judges all that came, in sentences; none if the track is as it should be.
func (c *Checker) Faults() []string {
	c.faults, c.damaged, c.last = nil, false, nil
	c.vp8, c.vp9, c.deps = vp8{}, vp9{}, dependencies{}
	c.truth = truth{lost: c.lost, known: map[uint64]fate{}}
	for n, p := range c.pictures() {
		c.picture(n, &p)
	}
	return c.faults
}

func (c *Checker) fault(p *received, format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf("packet %d, time %d: ", p.Seq, p.TS)+fmt.Sprintf(format, args...))
}

// pictures sorts the packets by number and cuts them by timestamp. A hole in the numbers between two timestamps may
// belong to either.
func (c *Checker) pictures() (all []picture) {
	sorted := slices.Clone(c.packets)
	slices.SortStableFunc(sorted, func(a, b received) int { return int(a.seq - b.seq) })
	next := int64(-1)
	gap, filled := false, false
	for _, r := range sorted {
		switch {
		case next >= 0 && r.seq < next:
			c.fault(&r, "its number was given twice")
			continue
		case next >= 0 && r.seq > next:
			gap = true
		}
		next = r.seq + 1
		if len(r.Payload) == 0 { // padding
			filled = true
			continue
		}
		if n := len(all); n > 0 && all[n-1].first().TS == r.TS {
			all[n-1].filled = all[n-1].filled || filled
			all[n-1].gapInside = all[n-1].gapInside || gap
			all[n-1].packets = append(all[n-1].packets, r)
		} else {
			if n > 0 {
				all[n-1].gapAfter = gap
			}
			all = append(all, picture{packets: []received{r}, gapBefore: gap, filled: filled})
		}
		gap, filled = false, false
	}
	if n := len(all); n > 0 {
		all[n-1].final = true
	}
	return all
}

// picture judges one picture, in the order of the numbers.
func (c *Checker) picture(n int, p *picture) {
	first := p.first()
	if c.last != nil && int32(first.TS-c.last.first().TS) <= 0 {
		c.fault(first, "time runs back or stands, after %d", c.last.first().TS)
	}
	key := starts(first)
	c.damaged = c.damaged && !(key && !p.gapInside) || p.gapBefore || p.gapInside || c.givenUp(p)
	if n == 0 && !key {
		c.fault(first, "the track does not start with a key frame")
	}
	c.borders(p)
	switch first.Codec {
	case media.VP8:
		c.vp8.judge(c, p)
	case media.VP9:
		c.vp9.judge(c, p)
	}
	c.deps.judge(c, p)
	c.truth.judge(c, p)
	c.damaged = c.damaged || p.gapAfter
	c.last = p
}

func (c *Checker) givenUp(p *picture) bool {
	return c.Holes && p.filled && len(p.first().Descriptor) > 0
}

// borders holds the picture to begin and end as pictures do, its marker at the end and nowhere else.
func (c *Checker) borders(p *picture) {
	if !p.gapBefore && !begins(p.first()) {
		c.fault(p.first(), "a picture begins in the middle of a frame")
	}
	for i := range p.packets {
		r := &p.packets[i]
		if last := i == len(p.packets)-1; last {
			if p.gapAfter || p.final {
				return
			}
			if !r.Marker && !c.Unmarked {
				c.fault(r, "a picture ends without the marker: half a frame")
			}
			if !ends(r) && !c.Unmarked {
				c.fault(r, "a picture ends in the middle of a frame")
			}
			return
		}
		if r.Marker && !p.gapInside && !c.Unmarked && !entersSpatial(&p.packets[i+1]) {
			c.fault(r, "the marker is inside a picture")
		}
		if from, to := ends(r), begins(&p.packets[i+1]); !p.gapInside && from != to && tells(r) {
			c.fault(r, "a frame is cut: it ends here is %v, the next begins is %v", from, to)
		}
	}
}
