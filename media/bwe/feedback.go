package bwe

import (
	"time"

	"github.com/pion/rtcp"
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

// Feedback takes an arrival report (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
func (e *Estimator) Feedback(cc *rtcp.TransportLayerCC, now time.Time) {
	t := e.tick(now)
	e.wake(t)
	if !e.path.heard {
		e.path = reader{heard: true, reference: firstReference + int64(cc.ReferenceTime), count: cc.FbPktCount - 1}
		e.delay.reset()
	}
	e.path.gap = cc.FbPktCount != e.path.count+1
	e.path.count = cc.FbPktCount
	e.grow()
	if e.stalled {
		e.revive(t)
	}
	sum := e.read(cc)
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
func (e *Estimator) read(cc *rtcp.TransportLayerCC) tally {
	var sum tally
	d := int64(int32(cc.ReferenceTime<<8-uint32(e.path.reference)<<8) >> 8)
	e.path.reference += d
	arrival := e.path.reference * unit
	seq, left, deltas := cc.BaseSequenceNumber, int(cc.PacketStatusCount), cc.RecvDeltas
	for _, c := range cc.PacketChunks {
		switch chunk := c.(type) {
		case *rtcp.RunLengthChunk:
			for range min(left, int(chunk.RunLength)) {
				deltas, arrival = e.status(chunk.PacketStatusSymbol, seq, deltas, arrival, &sum)
				seq++
			}
			left -= int(chunk.RunLength)
		case *rtcp.StatusVectorChunk:
			for _, symbol := range chunk.SymbolList[:min(max(left, 0), len(chunk.SymbolList))] {
				deltas, arrival = e.status(symbol, seq, deltas, arrival, &sum)
				seq++
			}
			left -= len(chunk.SymbolList)
		}
		if left <= 0 {
			break
		}
	}
	return sum
}

// status takes one packet's fate, and returns the deltas left and the receiver's time.
func (e *Estimator) status(symbol, seq uint16, deltas []*rtcp.RecvDelta, arrival int64, sum *tally) ([]*rtcp.RecvDelta, int64) {
	var nobody record
	r := &nobody
	if len(e.log) > 0 {
		r = &e.log[int(seq)&(len(e.log)-1)]
	}
	known := r.seq == seq && (r.state() == flying || r.state() == missing)
	if symbol != rtcp.TypeTCCPacketReceivedSmallDelta && symbol != rtcp.TypeTCCPacketReceivedLargeDelta {
		if known && r.state() == flying {
			r.turn(missing)
			e.count(r, 1, sum)
			if e.path.run == 0 {
				e.path.since = e.since(r.at)
			}
			e.path.run++
		}
		return deltas, arrival
	}
	if len(deltas) == 0 || deltas[0] == nil {
		return nil, arrival // a report that promises more than it holds
	}
	arrival += deltas[0].Delta
	if known {
		e.arrived(r, arrival, sum)
	}
	return deltas[1:], arrival
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
