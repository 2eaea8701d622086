package bwe

import (
	"encoding/binary"
	"time"
)

const (
	// firstLog and lastLog are how many sent packets are remembered: 2 KB hold 0.7 s of 2.5 Mbit/s and sound; the log
	// doubles when a viewer needs more, up to 0.8 s of 30 Mbit/s.
	firstLog, lastLog = 256, 4096

	flying   = 1 // sent, nothing told
	received = 2
	missing  = 3

	// unit is that of a report's reference time, 64 ms in microseconds. It starts high: no report can turn it back below
	// zero.
	unit           = 64_000
	firstReference = 1 << 40
)

// record is one sent packet, in 8 bytes.
type record struct {
	at  uint32 // microseconds, cut to 32 bits
	seq uint16
	is  uint16 // two bits of state, one of probes, the rest is the size
}

const (
	stateBits  = 3
	probeBit   = 4
	sizeBit    = 8
	largestOne = 1<<16/sizeBit - 1 // more than any datagram on the way to a viewer
)

// flight records a packet that leaves.
func flight(at int64, seq uint16, size int, probe bool) record {
	r := record{at: uint32(at), seq: seq, is: flying | uint16(min(size, largestOne))*sizeBit}
	if probe {
		r.is |= probeBit
	}
	return r
}

func (r *record) state() uint16     { return r.is & stateBits }
func (r *record) turn(state uint16) { r.is = r.is&^stateBits | state }
func (r *record) probe() bool       { return r.is&probeBit != 0 }
func (r *record) size() int         { return int(r.is / sizeBit) }

// reader follows the receiver's clock through arrival reports.
type reader struct {
	heard     bool
	reference int64 // the last reference time, unwrapped, in units of 64 ms
	count     uint8 // the last report's number
	arrival   int64 // the newest arrival, microseconds of the receiver
	virtual   int64 // arrivals with the time of lost reports cut out
	gap       bool  // a report was lost before this one

	// The run of missing packets that goes on: how many, and when the first one was sent.
	run   int
	since int64
}

// hole is how long a run of missing packets lasts that tells of a dead link rather than of a full one, whose queue takes
// a packet now and then. Dead links are not lossy ones: slowing down does not help.
const hole = 150_000 // microseconds

// tally is what one report said.
type tally struct {
	lost, total int
	newestSent  int64
	any         bool
}

// Feedback takes an arrival report.
//
// hot: once per report and viewer; allocates where the log has been too short.
func (e *Estimator) Feedback(a Arrivals, now time.Time) {
	t := e.tick(now)
	e.wake(t)
	if !e.path.heard {
		e.path = reader{heard: true, reference: firstReference + int64(a.Reference), count: a.Number - 1}
		e.delay.reset()
	}
	e.path.gap = a.Number != e.path.count+1
	e.path.count = a.Number
	e.grow()
	if e.stalled {
		e.revive(t)
	}
	sum := e.read(a)
	e.inFlight = 0
	if !sum.any {
		return
	}
	if sum.newestSent > 0 {
		// Includes up to a report's interval; receiver reports know better.
		if rtt := t - sum.newestSent; e.rtt == 0 || rtt < e.rtt {
			e.rtt = rtt
		} else {
			e.rtt += (rtt - e.rtt) / 64
		}
	}
	e.loss.add(t, sum.lost, sum.total)
	if e.delay.settle(t) {
		e.rise()
	}
	e.decide(t)
}

// read walks through the statuses of a report.
func (e *Estimator) read(a Arrivals) tally {
	var sum tally
	d := int64(int32(a.Reference<<8-uint32(e.path.reference)<<8) >> 8)
	e.path.reference += d
	arrival := e.path.reference * unit
	seq, left, deltas := a.Base, int(a.Count), a.deltas
	for at := 0; left > 0 && at+2 <= len(a.chunks); at += 2 {
		c := chunk(binary.BigEndian.Uint16(a.chunks[at:]))
		n := c.covers(left)
		left -= n
		for i := range n {
			switch symbol := c.symbol(i); {
			case symbol == smallDelta && len(deltas) >= 1:
				arrival += quarter * int64(deltas[0])
				deltas = deltas[1:]
				e.came(seq, arrival, &sum)
			case symbol == largeDelta && len(deltas) >= 2:
				arrival += quarter * int64(int16(binary.BigEndian.Uint16(deltas)))
				deltas = deltas[2:]
				e.came(seq, arrival, &sum)
			default:
				e.lacks(seq, &sum)
			}
			seq++
		}
	}
	return sum
}

// find returns the record of a packet whose fate is not known yet, or nil.
func (e *Estimator) find(seq uint16) *record {
	if len(e.log) == 0 {
		return nil
	}
	r := &e.log[int(seq)&(len(e.log)-1)]
	if r.seq != seq || r.state() != flying && r.state() != missing {
		return nil
	}
	return r
}

func (e *Estimator) came(seq uint16, arrival int64, sum *tally) {
	if r := e.find(seq); r != nil {
		e.arrived(r, arrival, sum)
	}
}

// lacks takes a packet that did not come, or not yet.
func (e *Estimator) lacks(seq uint16, sum *tally) {
	r := e.find(seq)
	if r == nil || r.state() != flying {
		return
	}
	r.turn(missing)
	e.count(r, 1, sum)
	if e.path.run == 0 {
		e.path.since = e.since(r.at)
	}
	e.path.run++
}

// arrived takes a received packet.
func (e *Estimator) arrived(r *record, arrival int64, sum *tally) {
	sent := e.since(r.at)
	if r.state() == missing {
		e.count(r, -1, sum)
	}
	again := r.state() == missing
	r.turn(received)
	sum.any = true
	if e.path.run > 0 && !again {
		if sent-e.path.since > hole {
			sum.lost -= e.path.run
			sum.total -= e.path.run
		}
		e.path.run = 0
	}
	if arrival > e.path.arrival {
		if !e.path.gap && e.path.arrival != 0 {
			e.path.virtual += arrival - e.path.arrival
		}
		e.path.arrival, e.path.gap = arrival, false
	}
	sum.newestSent = max(sum.newestSent, sent)
	if !again {
		e.count(r, 0, sum)
	}
	e.acked.add(e.path.virtual, r.size())
	e.largest = max(0.99*e.largest, float64(r.size()))
	if sent < e.freshFrom {
		return
	}
	e.delay.add(arrival, arrival-sent)
	if r.probe() {
		e.probe.arrived(sent, arrival, r.size())
	}
}

// count enters a packet into the tally: 1 lost, 0 received, −1 received after all.
func (e *Estimator) count(r *record, lost int, sum *tally) {
	if e.since(r.at) < max(e.freshFrom, e.lossFrom) {
		return
	}
	sum.lost += lost
	if lost >= 0 {
		sum.total++
	}
	if r.probe() && lost > 0 {
		e.probe.lost++
	}
}

// grow makes the log longer when it was too short, outside the hot path.
func (e *Estimator) grow() {
	if !e.crowded || len(e.log) >= lastLog {
		return
	}
	e.crowded = false
	longer := make([]record, 2*len(e.log))
	for _, r := range e.log {
		if r.state() != 0 {
			longer[int(r.seq)&(len(longer)-1)] = r
		}
	}
	e.log = longer
}
