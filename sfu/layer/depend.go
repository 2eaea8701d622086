package layer

import (
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec/descriptor"
)

// enterStructure begins to follow the descriptors of the source that begins with p, if it has any.
func (s *Selector) enterStructure(p *media.Packet) {
	handed := s.handed
	s.handed = nil // it is of one start
	if s.deps != nil {
		s.deps.on = false
	}
	if len(p.Descriptor) == 0 || handed == nil && !descriptor.HasStructure(p.Descriptor) {
		return
	}
	if s.deps == nil {
		s.deps = &deps{}
	}
	d := s.deps
	d.structure = descriptor.Structure{}
	if handed != nil && !descriptor.HasStructure(p.Descriptor) {
		d.structure = *handed
	}
	if d.structure.Read(p.Descriptor, &d.frame) != nil {
		return
	}
	d.on = true
	n := int64(1<<16) | int64(d.frame.Number)
	d.frames.restart(n)
	d.past = [4]pastTarget{}
	d.restart(n, s.spatial.want, s.temporal.want)
	d.frames.note(n, true)
}

// depend decides one packet of a source that tells its dependencies. A frame is decided by the first of its packets that
// comes; the rest follow.
//
// hot: once per packet and viewer.
func (s *Selector) depend(p *media.Packet) Verdict {
	d := s.deps
	number, ok := descriptor.Number(p.Descriptor)
	if !ok {
		return Forward // nothing is told of this one: better too much than half a frame
	}
	n := d.frames.unwrap(number)
	switch {
	case n > d.frames.newest:
	case !d.frames.known(n):
		return Drop
	case d.frames.wasSeen(n) && !(d.blind && n > d.told && descriptor.HasStructure(p.Descriptor)):
		return verdict(d.frames.wasSent(n))
	}
	if n < d.told { // the structure that explains it has been replaced
		send := d.whole || descriptor.HasStructure(p.Descriptor) // what was forwarded blindly waits for its key frame
		d.frames.note(n, send)
		return verdict(send)
	}
	if descriptor.HasStructure(p.Descriptor) {
		d.whole = d.everything()
	}
	if d.structure.Read(p.Descriptor, &d.frame) != nil {
		return d.unexplained(n)
	}
	if d.target >= d.structure.Targets { // of a structure that came without a key frame
		d.aim(d.wish(s.spatial.want, s.temporal.want), n)
	}
	fresh := p.TS > s.frame
	s.frame = max(s.frame, p.TS)
	var send bool
	switch {
	case d.frame.HasStructure && d.frame.Key():
		d.restart(n, s.spatial.want, s.temporal.want)
		send = d.frame.Indications.Of(int(d.target)) != descriptor.NotPresent
	case n > d.frames.newest:
		send = d.decide(n, turn{s.spatial.want, s.temporal.want, fresh, p.TS})
	default:
		send = d.late(n)
	}
	d.frames.note(n, send)
	return verdict(send)
}

func verdict(send bool) Verdict {
	if send {
		return Forward
	}
	return Drop
}

// unexplained forwards a frame that the structure does not know: the key frame that brings another one has been
// overtaken or lost, and would be of no use without the frames that follow it.
func (d *deps) unexplained(n int64) Verdict {
	if n > d.frames.newest {
		d.frames.advance(n)
	}
	d.blind = true
	d.frames.note(n, true)
	return Forward
}

// restart begins with a key frame: all its switch indications may be taken, nothing before it matters.
func (d *deps) restart(n int64, spatial, temporal uint8) {
	d.told, d.blind = n, false
	d.losses, d.suspects, d.broken = 0, 0, 0
	if n > d.frames.newest {
		d.frames.advance(n)
	}
	d.active = d.structure.All()
	if d.frame.HasActive {
		d.active = d.frame.Active
	}
	d.alive = d.frame.Indications.Targets(descriptor.Switch) & d.structure.All()
	if d.alive == 0 { // a key frame that promises nothing: what it belongs to may be had from it
		d.alive = d.structure.All() &^ d.frame.Indications.Targets(descriptor.NotPresent)
	}
	if t, ok := d.desired(spatial, temporal, d.active&d.alive); ok {
		d.aim(t, n)
	} else if t, ok := d.lowest(d.alive); ok {
		d.aim(t, n)
	}
}

// turn is what a new frame is decided by.
type turn struct {
	spatial, temporal uint8
	fresh             bool // first of its picture
	ts                media.Ticks
}

// decide decides a new frame, and which target to go on with.
func (d *deps) decide(n int64, at turn) bool {
	f := &d.frame
	d.frames.advance(n)
	if f.HasActive {
		d.active = f.Active
	}
	d.check(n, at.ts)
	decodable := d.decodable(n)
	open := uint32(0)
	if decodable {
		open = f.Indications.Targets(descriptor.Switch) & d.structure.All() &^ d.broken
	}
	d.turn(n, open, at)
	send := f.Indications.Of(int(d.target)) != descriptor.NotPresent
	d.account(send, open)
	return send
}

// turn goes on with the target that is wanted, if it may be entered here, or with the best that may be.
func (d *deps) turn(n int64, open uint32, at turn) {
	may := open
	if at.fresh {
		may |= d.alive
	} else { // inside a picture the highest spatial layer stays: its end has been or will be marked
		may &= d.level(d.structure.Layers[d.target].Spatial)
	}
	may &= d.active &^ d.broken
	now := d.structure.Layers[d.target]
	want := d.wish(at.spatial, at.temporal)
	if want == d.target && d.broken&(1<<d.target) == 0 {
		return
	}
	if may&(1<<want) != 0 {
		d.aim(want, n)
		return
	}
	t, ok := d.desired(at.spatial, at.temporal, may)
	switch {
	case ok && (now.Spatial > at.spatial || now.Temporal > at.temporal || (d.broken|^d.active)&(1<<d.target) != 0 || d.better(t)):
		d.aim(t, n)
	case !ok && now.Spatial > at.spatial: // only a key frame leads down: meanwhile as little as can be
		if t, ok := d.lowest(may & d.level(now.Spatial)); ok {
			d.aim(t, n)
		}
	}
}

// better reports whether t is above the present target.
func (d *deps) better(t uint8) bool {
	a, b := d.structure.Layers[t], d.structure.Layers[d.target]
	return a.Spatial > b.Spatial || a.Spatial == b.Spatial && a.Temporal > b.Temporal
}

// level returns the targets with this highest spatial layer.
func (d *deps) level(spatial uint8) (set uint32) {
	for t, l := range d.structure.Layers[:d.structure.Targets] {
		if l.Spatial == spatial {
			set |= 1 << t
		}
	}
	return set
}

// account keeps which targets could be turned to: those that the frame opens if it is forwarded; not those that need it
// if it is not.
func (d *deps) account(send bool, open uint32) {
	if send {
		d.alive |= open
		return
	}
	d.alive &^= d.frame.Indications.Targets(descriptor.Required) | d.frame.Indications.Targets(descriptor.Switch)
}

// decodable reports whether all that the frame needs was forwarded.
func (d *deps) decodable(n int64) bool {
	for _, by := range d.frame.Diffs.All() {
		if !d.frames.wasSent(n - int64(by)) {
			return false
		}
	}
	return true
}

// bereft reports whether the frame needs one that was dropped. One that has not come yet may still come.
func (d *deps) bereft(n int64) bool {
	for _, by := range d.frame.Diffs.All() {
		if ref := n - int64(by); d.frames.wasSeen(ref) && !d.frames.wasSent(ref) {
			return true
		}
	}
	return false
}

// late decides a frame that was overtaken.
func (d *deps) late(n int64) bool {
	for i := range d.losses {
		if d.lost[i] == n {
			d.losses--
			d.lost[i] = d.lost[d.losses]
			break
		}
	}
	if d.losses == 0 {
		d.suspects = 0
	}
	send := d.frame.Indications.Of(int(d.targetAt(n))) != descriptor.NotPresent && !d.bereft(n)
	d.account(send, 0)
	return send
}

// check follows the chains: a frame of one that has not come may still come for a while, then its targets are broken
// until the chain begins anew.
func (d *deps) check(n int64, ts media.Ticks) {
	if d.losses > 0 && ts-d.lostSince > patience {
		d.giveUp()
	}
	for c := range d.structure.Chains {
		by := int64(d.frame.Chains[c])
		switch protected := d.protected(c); {
		case by == 0:
			d.broken &^= protected
		case n-by >= d.told && !d.frames.wasSeen(n-by):
			d.miss(n-by, protected, ts)
		}
	}
}

// protected returns the targets that a chain protects.
func (d *deps) protected(chain uint8) (set uint32) {
	for t, c := range d.structure.Protects[:d.structure.Targets] {
		if c == chain {
			set |= 1 << t
		}
	}
	return set
}

func (d *deps) miss(n int64, targets uint32, ts media.Ticks) {
	d.suspects |= targets
	for _, known := range d.lost[:d.losses] {
		if known == n {
			return
		}
	}
	if d.losses == 0 {
		d.lostSince = ts
	}
	if d.losses == maxLost {
		d.giveUp()
		return
	}
	d.lost[d.losses] = n
	d.losses++
}

func (d *deps) giveUp() {
	d.broken |= d.suspects
	d.alive &^= d.suspects
	d.losses, d.suspects = 0, 0
}
