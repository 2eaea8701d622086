package layer

import (
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec/descriptor"
)

// patience is how long a missing frame of a chain may still come, in ticks of 90 kHz: 300 ms, two NACK round trips on a
// link of 100 ms. After that its targets are given up.
const patience = 27000

// maxLost is how many missing frames are waited for; with more the chain is not worth waiting for.
const maxLost = 8

// deps follows the dependency descriptors of the current source: which decode target the viewer gets, and which others
// could be turned to without a key frame (AV1 RTP specification, sections A.4 and A.7). It works for whatever codec
// carries descriptors.
type deps struct {
	on        bool
	structure descriptor.Structure
	frame     descriptor.Frame // the one that is being decided, here so that it is not allocated
	frames    frames
	told      int64 // frame that brought the structure
	whole     bool  // before that all was forwarded
	blind     bool  // frames came that the structure does not explain: it has been replaced unseen

	active uint32 // targets that the publisher sends
	target uint8
	past   [4]pastTarget // the newest first: a late frame is judged by the target of its time
	alive  uint32        // targets of which all that matters was forwarded
	broken uint32        // targets whose chain is broken for good

	lost      [maxLost]int64 // frames of chains that did not come
	losses    int
	suspects  uint32 // their targets
	lostSince media.Ticks
}

// pastTarget says that up to a frame the target was another.
type pastTarget struct {
	until  int64
	before uint8
}

// aim makes t the target from frame n on.
func (d *deps) aim(t uint8, n int64) {
	if t != d.target {
		copy(d.past[1:], d.past[:])
		d.past[0] = pastTarget{n, d.target}
		d.target = t
	}
}

// targetAt returns the target at frame n.
func (d *deps) targetAt(n int64) uint8 {
	t := d.target
	for _, p := range d.past {
		if n >= p.until {
			break
		}
		t = p.before
	}
	return t
}

func (d *deps) telling() bool { return d != nil && d.on }

// desired returns the best target within the caps that is sent and whole; ok is false if there is none.
func (d *deps) desired(spatial, temporal uint8, among uint32) (best uint8, ok bool) {
	st := &d.structure
	var rank int
	for t := range st.Targets {
		l := st.Layers[t]
		if among&(1<<t) == 0 || l.Spatial > spatial || l.Temporal > temporal {
			continue
		}
		if r := int(l.Spatial)<<8 | int(l.Temporal); !ok || r > rank {
			best, rank, ok = t, r, true
		}
	}
	return best, ok
}

// lowest returns the least target of a set that is not empty.
func (d *deps) lowest(among uint32) (least uint8, ok bool) {
	var rank int
	for t := range d.structure.Targets {
		l := d.structure.Layers[t]
		if among&(1<<t) == 0 {
			continue
		}
		if r := int(l.Spatial)<<8 | int(l.Temporal); !ok || r < rank {
			least, rank, ok = t, r, true
		}
	}
	return least, ok
}

// wish returns the target that the caps ask for, whatever can be had now.
func (d *deps) wish(spatial, temporal uint8) uint8 {
	if t, ok := d.desired(spatial, temporal, d.active); ok {
		return t
	}
	if t, ok := d.lowest(d.active); ok {
		return t
	}
	return d.target
}

// wantKey reports whether only a key frame leads to what is wanted.
func (d *deps) wantKey(spatial, temporal uint8) bool {
	t := d.wish(spatial, temporal)
	if d.blind || (d.broken|^d.active)&(1<<d.target) != 0 || d.broken&(1<<t) != 0 {
		return true
	}
	return d.structure.Layers[t].Spatial != d.structure.Layers[d.target].Spatial && d.alive&(1<<t) == 0
}

// everything reports whether no frame is left out.
func (d *deps) everything() bool {
	for i := range d.structure.Templates[:d.structure.Count] {
		if d.structure.Templates[i].Indications.Of(int(d.target)) == descriptor.NotPresent {
			return false
		}
	}
	return true
}

// top returns the highest spatial layer of the target, all if none is above it.
func (d *deps) top() uint8 {
	l := d.structure.Layers[d.target].Spatial
	if int(l)+1 >= d.structure.Spatials() || d.blind { // blindly all are forwarded
		return all
	}
	return l
}

func (d *deps) topTemporal() uint8 {
	l := d.structure.Layers[d.target]
	for _, o := range d.structure.Layers[:d.structure.Targets] {
		if o.Spatial == l.Spatial && o.Temporal > l.Temporal {
			return l.Temporal
		}
	}
	return all
}

// forwarded returns the targets all of whose frames belong to the target that is forwarded. Blindly nothing is known, not
// even how many there are.
func (d *deps) forwarded() (active uint32, n uint8) {
	if d.blind {
		return 0, 0
	}
	st := &d.structure
	active = d.active
	for i := range st.Templates[:st.Count] {
		dti := st.Templates[i].Indications
		if dti.Of(int(d.target)) != descriptor.NotPresent {
			continue
		}
		for t := range int(st.Targets) {
			if dti.Of(t) != descriptor.NotPresent {
				active &^= 1 << t
			}
		}
	}
	return active, st.Targets
}
