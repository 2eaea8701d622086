package feedback

import (
	"slices"
	"time"

	"github.com/pion/rtcp"
)

const (
	// tick is the unit of receive deltas (draft-holmer-rmcat-transport-wide-cc-extensions-01 section 3.1.5).
	tick = 250 * time.Microsecond
	// refTicks are the ticks in one unit of the reference time, 64 ms.
	refTicks = int64(64 * time.Millisecond / tick)
	// maxPending bounds what is kept when Build is not called: at 20 Mbit/s, eight seconds.
	maxPending = 1 << 14
	// maxReceived and maxStatuses keep a message within an MTU in the worst case: two bytes of delta for each received
	// packet, and two of chunk for seven statuses, 1,100 in all. Who misses more in a row has restarted: then the
	// missing ones are not told of.
	maxReceived = 250
	maxStatuses = 2000
	// maxLateGap is how many missing packets a message about late ones tells again, rather than beginning another.
	maxLateGap = 16

	maxDelta = 1<<15 - 1
	minDelta = -1 << 15
)

// arrival is one received packet.
type arrival struct {
	seq uint64 // unwrapped
	at  int64  // in ticks
}

// TWCC collects the arrivals of one transport over every SSRC. The zero value is ready. It is not safe for concurrent
// use.
//
// Build tells of every packet since the last Build, and of the missing ones between them. A packet that comes after it
// was told missing gets a message of its own, with the older base, as libwebrtc sends and takes it.
type TWCC struct {
	pending []arrival
	seen    []uint64 // bit set over the 65536 sequence numbers up to the newest
	newest  uint64
	told    uint64 // the newest that a message covered; zero: none
	zero    time.Time
	count   uint8

	symbols []uint16
}

// Receive takes the transport-wide sequence number of one packet. Duplicates count once.
//
// hot: once per received packet.
func (t *TWCC) Receive(seq uint16, at time.Time) {
	if t.seen == nil {
		t.begin(seq, at)
	}
	u := t.newest + uint64(int64(int16(seq-uint16(t.newest))))
	if u > t.newest {
		t.advance(u)
	}
	if t.has(u) || len(t.pending) >= maxPending {
		return
	}
	t.seen[u%(1<<16)/64] |= 1 << (u % 64)
	t.pending = append(t.pending, arrival{seq: u, at: int64(at.Sub(t.zero) / tick)})
}

// begin makes room; the sequence starts one turn up, so that late packets stay above zero.
func (t *TWCC) begin(seq uint16, at time.Time) {
	t.seen = make([]uint64, 1<<16/64)
	t.pending = make([]arrival, 0, 512)
	t.newest = 1<<16 + uint64(seq) - 1
	// A minute before the first packet: arrivals that come out of order stay positive.
	t.zero = at.Add(-time.Minute)
}

// advance clears the bits between the newest and u, whole words at a time where it can.
func (t *TWCC) advance(u uint64) {
	for t.newest < u {
		t.newest++
		word := &t.seen[t.newest%(1<<16)/64]
		if t.newest%64 == 0 && u-t.newest >= 63 {
			*word = 0
			t.newest += 63
			continue
		}
		*word &^= 1 << (t.newest % 64)
	}
}

func (t *TWCC) has(u uint64) bool { return t.seen[u%(1<<16)/64]&(1<<(u%64)) != 0 }

// Pending returns how many packets wait to be told of.
func (t *TWCC) Pending() int { return len(t.pending) }

// Build appends to dst the feedback about every packet since the last Build: nothing if none came, several messages if
// one cannot hold it.
func (t *TWCC) Build(dst []*rtcp.TransportLayerCC, sender, media uint32) []*rtcp.TransportLayerCC {
	slices.SortFunc(t.pending, func(a, b arrival) int {
		if a.seq < b.seq {
			return -1
		}
		return 1
	})
	for rest := t.pending; len(rest) > 0; {
		base := t.base(rest[0].seq)
		n := t.fits(base, rest)
		m := t.message(base, rest[:n])
		m.SenderSSRC, m.MediaSSRC = sender, media
		dst = append(dst, m)
		t.told = max(t.told, rest[n-1].seq)
		rest = rest[n:]
	}
	t.pending = t.pending[:0]
	return dst
}

// base returns where a message begins whose first packet is seq: after what was told, so that missing ones are told of
// too.
func (t *TWCC) base(seq uint64) uint64 {
	if t.told == 0 || seq <= t.told || seq-t.told > maxStatuses {
		return seq
	}
	return t.told + 1
}

// fits returns how many of the packets one message from base holds.
func (t *TWCC) fits(base uint64, rest []arrival) int {
	last := rest[0].at / refTicks * refTicks
	for i, a := range rest {
		d := a.at - last
		last = a.at
		switch {
		case i == 0:
		case i == maxReceived, a.seq-base >= maxStatuses, d > maxDelta, d < minDelta:
			return i
		case rest[i-1].seq <= t.told && !t.missing(rest[i-1].seq, a.seq):
			return i
		}
	}
	return len(rest)
}

// missing reports whether one message may go on from a late packet to the next: across packets that were told missing,
// but not across those that were told received, nor across many.
func (t *TWCC) missing(from, to uint64) bool {
	if to-from > maxLateGap || to > t.told {
		return false
	}
	for u := from + 1; u < to; u++ {
		if t.has(u) {
			return false
		}
	}
	return true
}

// message writes the packets from base on; the last of them ends it.
func (t *TWCC) message(base uint64, packets []arrival) *rtcp.TransportLayerCC {
	ref := packets[0].at / refTicks
	m := &rtcp.TransportLayerCC{
		BaseSequenceNumber: uint16(base),
		PacketStatusCount:  uint16(packets[len(packets)-1].seq - base + 1),
		ReferenceTime:      uint32(ref) & 0xffffff,
		FbPktCount:         t.count,
		RecvDeltas:         make([]*rtcp.RecvDelta, 0, len(packets)),
	}
	t.count++
	deltas := make([]rtcp.RecvDelta, len(packets))
	t.symbols = t.symbols[:0]
	last, next := ref*refTicks, base
	for i, a := range packets {
		for ; next < a.seq; next++ {
			t.symbols = append(t.symbols, rtcp.TypeTCCPacketNotReceived)
		}
		next++
		d := &deltas[i]
		d.Type, d.Delta = rtcp.TypeTCCPacketReceivedSmallDelta, (a.at-last)*tick.Microseconds()
		if a.at < last || a.at-last > 255 {
			d.Type = rtcp.TypeTCCPacketReceivedLargeDelta
		}
		t.symbols = append(t.symbols, d.Type)
		m.RecvDeltas = append(m.RecvDeltas, d)
		last = a.at
	}
	m.PacketChunks = chunks(t.symbols)
	m.Header = header(m)
	return m
}

// header writes the RTCP header with the length that the message will have.
func header(m *rtcp.TransportLayerCC) rtcp.Header {
	n := 20 + 2*len(m.PacketChunks)
	for _, d := range m.RecvDeltas {
		n++
		if d.Type == rtcp.TypeTCCPacketReceivedLargeDelta {
			n++
		}
	}
	return rtcp.Header{
		Padding: n%4 != 0, Count: rtcp.FormatTCC, Type: rtcp.TypeTransportSpecificFeedback,
		Length: uint16(m.MarshalSize()/4 - 1),
	}
}
