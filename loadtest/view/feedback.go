package view

import (
	"cmp"
	"encoding/binary"
	"slices"
	"time"
)

// wideURI is the transport-wide sequence number's extension.
const wideURI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

// Units of transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1).
const (
	deltaUnit     = 250 * time.Microsecond
	referenceUnit = 64 * time.Millisecond
	// Most packets that one feedback tells of: 100 ms of 15 Mbit/s.
	arrivalsMost = 256
	// Numbers that one feedback spans at most; what is older was lost long ago.
	spanMost = 1024
)

// Symbols of a packet's status, and how many one vector chunk holds.
const (
	notReceived = 0
	smallDelta  = 1
	largeDelta  = 2
	perVector   = 7
	runMost     = 1<<13 - 1
)

// arrival is one packet of a transport-wide numbering.
type arrival struct {
	seq int64 // extended
	at  Instant
}

// Wide remembers arrivals and tells the sender of them. It is pure and not
// safe for concurrent use.
type Wide struct {
	arrivals []arrival
	newest   int64
	next     int64 // the first number that no feedback told of
	started  bool
	count    uint8
}

// Arrived takes one packet.
//
// hot: once per packet.
func (w *Wide) Arrived(seq uint16, at Instant) {
	if !w.started {
		w.started, w.newest, w.next = true, 1<<16|int64(seq), 1<<16|int64(seq)
	}
	n := w.newest + int64(int16(seq-uint16(w.newest)))
	w.newest = max(w.newest, n)
	if n < w.next || len(w.arrivals) >= arrivalsMost {
		return // told as lost already, or far more than a viewer gets
	}
	w.arrivals = append(w.arrivals, arrival{n, at})
}

// Append appends one feedback of all that arrived since the last, as plain
// RTCP, and whether there was anything to tell.
//
// hot: ten times a second and viewer.
func (w *Wide) Append(dst []byte, sender, media uint32) ([]byte, bool) {
	if len(w.arrivals) == 0 {
		return dst, false
	}
	slices.SortFunc(w.arrivals, func(a, b arrival) int { return cmp.Or(cmp.Compare(a.seq, b.seq), cmp.Compare(a.at, b.at)) })
	a := slices.CompactFunc(w.arrivals, func(a, b arrival) bool { return a.seq == b.seq })
	last := a[len(a)-1].seq
	base := max(w.next, last-spanMost+1)
	for len(a) > 0 && a[0].seq < base {
		a = a[1:]
	}
	w.next = last + 1
	begin := len(dst)
	reference := int64(a[0].at) / int64(referenceUnit)
	dst = append(dst, 0x80|15, 205, 0, 0) // transport layer feedback, format 15
	dst = binary.BigEndian.AppendUint32(dst, sender)
	dst = binary.BigEndian.AppendUint32(dst, media)
	dst = binary.BigEndian.AppendUint16(dst, uint16(base))
	dst = binary.BigEndian.AppendUint16(dst, uint16(last-base+1))
	dst = binary.BigEndian.AppendUint32(dst, uint32(reference)<<8|uint32(w.count))
	w.count++
	dst = appendChunks(dst, a, base, reference)
	dst = appendDeltas(dst, a, reference)
	w.arrivals = w.arrivals[:0]
	if pad := -(len(dst) - begin) & 3; pad > 0 {
		dst[begin] |= 0x20
		for i := range pad {
			dst = append(dst, byte((i+1)/pad*pad)) // zeros, and the count in the last byte
		}
	}
	binary.BigEndian.PutUint16(dst[begin+2:], uint16((len(dst)-begin)/4-1))
	return dst, true
}

// clock turns arrivals into deltas: each is against the sum of those before it,
// so that rounding never adds up.
type clock struct{ units int64 }

func (c *clock) delta(at Instant) int64 {
	units := int64(at) / int64(deltaUnit)
	d := min(max(units-c.units, -1<<15), 1<<15-1)
	c.units += d
	return d
}

func startOf(reference int64) clock { return clock{reference * int64(referenceUnit/deltaUnit)} }

// appendChunks writes the statuses: runs where they are long, vectors of seven
// two-bit symbols elsewhere.
func appendChunks(dst []byte, a []arrival, base, reference int64) []byte {
	c := startOf(reference)
	var symbols [spanMost]byte
	n := int(a[len(a)-1].seq - base + 1)
	for _, p := range a {
		symbols[p.seq-base] = largeDelta
		if d := c.delta(p.at); d >= 0 && d <= 255 {
			symbols[p.seq-base] = smallDelta
		}
	}
	for i := 0; i < n; {
		run := i + 1
		for run < n && run-i < runMost && symbols[run] == symbols[i] {
			run++
		}
		if run-i >= perVector || run == n {
			dst = binary.BigEndian.AppendUint16(dst, uint16(symbols[i])<<13|uint16(run-i))
			i = run
			continue
		}
		chunk := uint16(3 << 14)
		for k := range perVector {
			if i+k < n {
				chunk |= uint16(symbols[i+k]) << (12 - 2*k)
			}
		}
		dst = binary.BigEndian.AppendUint16(dst, chunk)
		i += perVector
	}
	return dst
}

func appendDeltas(dst []byte, a []arrival, reference int64) []byte {
	c := startOf(reference)
	for _, p := range a {
		if d := c.delta(p.at); d >= 0 && d <= 255 {
			dst = append(dst, byte(d))
		} else {
			dst = binary.BigEndian.AppendUint16(dst, uint16(d))
		}
	}
	return dst
}
