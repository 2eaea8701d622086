package bwe

import "math"

const (
	// slot is the grain of a meter: two frames of video.
	slot = 50_000 // microseconds
	// slots make a second.
	slots = 20
	// usual is the window of rates: long enough for 15 frames; brief the one that a falling link is measured by.
	usual, brief = 500_000, 150_000
)

// meter counts bytes over the last second.
type meter struct {
	bytes [slots]int32
	head  int64 // number of the newest slot
	end   int64 // newest time
	begun int64 // first time since it was cleared
	any   bool
}

// hot:
func (m *meter) add(t int64, size int) {
	n := t / slot
	if n > m.head {
		for i := max(m.head+1, n-slots+1); i <= n; i++ {
			m.bytes[i%slots] = 0
		}
		m.head = n
	}
	m.end = max(m.end, t)
	if !m.any {
		m.begun, m.any = t, true
	}
	if n > m.head-slots && n >= 0 {
		m.bytes[n%slots] += int32(size)
	}
}

func (m *meter) newest() int64 { return m.end }

// covers reports whether the meter has run for a window.
func (m *meter) covers(window int64) bool { return m.any && m.end-m.begun >= window }

// rate is the mean in bits per second over about a window that ends at t, whole slots and the running one.
func (m *meter) rate(t, window int64) float64 {
	first := max((t-window)/slot+1, m.head-slots+1, 0)
	sum := 0
	for i := first; i <= m.head; i++ {
		sum += int(m.bytes[i%slots])
	}
	return float64(sum) * 8e6 / float64(max(t-first*slot, slot))
}

// clear forgets all.
func (m *meter) clear() { *m = meter{head: m.head, end: m.end} }

// lossWindow counts lost and received packets over one to two seconds.
type lossWindow struct {
	lost, total       int
	wasLost, wasTotal int
	began             int64

	own               float64 // loss that the link has at any rate
	cutAt             int64   // when loss last lowered the estimate
	cutRatio, cutSent float64 // what was lost and sent then
	before            float64 // the estimate before that
}

const lossSpan = 1_000_000

func (l *lossWindow) add(t int64, lost, total int) {
	if t-l.began >= lossSpan {
		if t-l.began >= 2*lossSpan {
			l.lost, l.total = 0, 0
		}
		l.wasLost, l.wasTotal, l.lost, l.total, l.began = l.lost, l.total, 0, 0, t
	}
	// A packet that was told lost and came after all takes its loss back.
	l.lost += lost
	l.total += total
}

func (l *lossWindow) counts() (lost, total int) {
	return max(0, l.lost+l.wasLost), max(0, l.total+l.wasTotal)
}

func (l *lossWindow) ratio() float64 {
	lost, total := l.counts()
	if total == 0 {
		return 0
	}
	return min(1, float64(lost)/float64(total))
}

// sure is the loss that is there with some certainty: twice the deviation of loss in bursts of five below the mean.
func (l *lossWindow) sure() float64 {
	_, total := l.counts()
	if total < 20 {
		return 0
	}
	p := l.ratio()
	return p - 2*math.Sqrt(5*p*(1-p)/float64(total))
}

// clear forgets what was counted, and keeps what was learnt.
func (l *lossWindow) clear(t int64) {
	l.lost, l.total, l.wasLost, l.wasTotal, l.began = 0, 0, 0, 0, t
}
