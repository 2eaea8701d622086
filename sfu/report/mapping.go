package report

import "time"

const (
	// slewPerMille is how fast a mapping may follow: 5 ms per second. Audio and video captured within 200 ms of one
	// another stay within 1 ms.
	slewPerMille = 5
	// maxJump between a sample and the mapping; beyond it the far clock was set anew, and slewing would take half an hour.
	maxJump = int64(10 * time.Second)
	// slots of slotTime make the window of the minimum: a minute, in which a poor crystal (100 ppm) drifts 6 ms.
	slots    = 6
	slotTime = int64(10 * time.Second)
)

// mapping follows a far clock by what arrives from it. Each sample (far time, arrival) is late by the network's delay;
// the least lateness of a minute is nearest to the truth. The mapping goes there slowly, along the far clock itself, so
// that it is the same whenever it is asked. All times are nanoseconds.
type mapping struct {
	known  bool
	least  [slots]int64
	filled [slots]bool
	turn   int64 // number of the newest slot

	anchor int64 // far time at which the offset holds
	offset int64 // node time less far time
	target int64 // where the offset goes
	jumps  int   // samples in a row that are far off
}

// add takes one sample and reports whether the far clock was found to have been set anew.
func (m *mapping) add(far, arrival int64) (stepped bool) {
	late := arrival - far
	if !m.known {
		m.begin(far, late, arrival)
		return false
	}
	if d := late - m.target; d > maxJump || d < -maxJump {
		if m.jumps++; m.jumps < 2 { // a single one may have been stuck somewhere
			return false
		}
		m.begin(far, late, arrival)
		return true
	}
	m.jumps = 0
	m.advance(arrival)
	i := m.turn % slots
	if !m.filled[i] || late < m.least[i] {
		m.filled[i], m.least[i] = true, late
	}
	if far > m.anchor {
		m.offset, m.anchor = m.offsetAt(far), far
	}
	m.target = m.minimum()
	return false
}

// node returns the node's time of a far time.
func (m *mapping) node(far int64) int64 { return far + m.offsetAt(far) }

func (m *mapping) begin(far, late, arrival int64) {
	*m = mapping{known: true, anchor: far, offset: late, target: late, turn: arrival / slotTime}
	i := m.turn % slots
	m.filled[i], m.least[i] = true, late
}

func (m *mapping) offsetAt(far int64) int64 {
	reach := max(far-m.anchor, 0) / 1000 * slewPerMille
	return m.offset + min(max(m.target-m.offset, -reach), reach)
}

func (m *mapping) advance(arrival int64) {
	now := arrival / slotTime
	if now-m.turn > slots {
		m.turn = now - slots
	}
	for m.turn < now {
		m.turn++
		m.filled[m.turn%slots] = false
	}
}

func (m *mapping) minimum() int64 {
	best, any := int64(0), false
	for i, ok := range m.filled {
		if ok && (!any || m.least[i] < best) {
			best, any = m.least[i], true
		}
	}
	return best
}
