package impair

import "time"

// entry is a packet in the queue.
type entry struct {
	out  time.Time // when it will have left
	size int
}

// ring is a queue that grows to its bound once and then takes no memory.
type ring struct {
	slots []entry
	head  int
	n     int
	bytes int
}

func (r *ring) push(e entry) {
	if r.n == len(r.slots) {
		grown := make([]entry, max(64, 2*len(r.slots)))
		for i := range r.n {
			grown[i] = r.slots[(r.head+i)%len(r.slots)]
		}
		r.slots, r.head = grown, 0
	}
	r.slots[(r.head+r.n)%len(r.slots)] = e
	r.n++
	r.bytes += e.size
}

// until forgets what has left at a time.
func (r *ring) until(t time.Time) {
	for r.n > 0 && !r.slots[r.head].out.After(t) {
		r.bytes -= r.slots[r.head].size
		r.head = (r.head + 1) % len(r.slots)
		r.n--
	}
}

// after counts the bytes that are still there at a time to come.
func (r *ring) after(t time.Time) int {
	bytes := 0
	for i := r.n - 1; i >= 0; i-- {
		e := &r.slots[(r.head+i)%len(r.slots)]
		if !e.out.After(t) {
			break
		}
		bytes += e.size
	}
	return bytes
}
