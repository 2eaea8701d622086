package sfu

import (
	"encoding/binary"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/report"
	"github.com/sluice-live/sluice/sfu/transport"
)

// Output sends one viewer's packets. Its owner is the viewer's shard.
type Output interface {
	// Send seals and sends the packets, in order, in one go; their memory is the
	// caller's again when it returns. A packet that cannot be sent is lost.
	Send(burst [][]byte)
	// Control seals and sends one compound RTCP packet.
	Control(packets []rtcp.Packet)
}

const (
	// maxRun bounds the packets that leave in one write: a run leaves at line rate,
	// and a key frame of 40 packets at once would overflow shallow queues.
	maxRun = 16
	// runSize holds them, sealed.
	runSize = maxRun * 1600
)

// direct is the Output over a session's transport. It is the only user of the
// sealing context: two would use a nonce twice.
type direct struct {
	conn   *transport.Conn
	sealer *srtp.Context
	header rtp.Header
	run    []byte // sealed packets of one size, one after the other
	size   int    // of each but the last
	count  int
	memory transport.Run
	rtcp   []byte
	failed uint64
}

func newDirect(conn *transport.Conn, k transport.Keys) (*direct, error) {
	sealer, err := k.Outbound()
	if err != nil {
		return nil, err
	}
	return &direct{conn: conn, sealer: sealer}, nil
}

// Send implements Output.
//
// hot:
func (d *direct) Send(burst [][]byte) {
	if d.run == nil {
		d.run = make([]byte, 0, runSize)
	}
	for _, b := range burst {
		if cap(d.run)-len(d.run) < len(b)+sealTag {
			d.flush()
		}
		at := len(d.run)
		sealed, err := d.sealer.EncryptRTP(d.run[at:at:cap(d.run)], b, &d.header)
		if err != nil || cap(d.run)-at < len(sealed) {
			d.failed++
			continue
		}
		n := len(sealed)
		if d.count > 0 && n > d.size { // larger than its run: it begins the next
			d.flush()
			n = copy(d.run[:n], sealed)
			at = 0
		}
		d.run = d.run[:at+n]
		if d.count++; d.count == 1 {
			d.size = n
		}
		if n < d.size || d.count == maxRun { // a shorter one closes its run
			d.flush()
		}
	}
	d.flush()
}

// sealTag is what sealing adds at the most: the GCM tag.
const sealTag = 16

// hot:
func (d *direct) flush() {
	if d.count > 0 && d.conn.SendRun(d.run, d.size, &d.memory) != nil {
		d.failed += uint64(d.count)
	}
	d.run, d.count = d.run[:0], 0
}

// Control implements Output.
func (d *direct) Control(packets []rtcp.Packet) {
	raw, err := rtcp.Marshal(packets)
	if err != nil {
		return
	}
	if sealed, err := d.sealer.EncryptRTCP(d.rtcp[:0], raw, nil); err == nil {
		d.rtcp = sealed
		_ = d.conn.Send(sealed)
	}
}

// arena is the memory in which a shard builds the packets of one viewer's
// burst, used again for the next viewer.
type arena struct {
	b     []byte
	burst [][]byte
}

const (
	// arenaSize holds a burst of full packets with their headers.
	arenaSize = burstSize * 2 * 1600
	// maxHeader is 12 bytes and the extensions that we write.
	maxHeader = 12 + 4 + 64
)

// packet returns room for one packet of at most n bytes; nil when the arena is full.
//
// hot:
func (a *arena) packet(n int) []byte {
	if a.b == nil {
		a.b = make([]byte, 0, arenaSize)
	}
	if len(a.b)+n > cap(a.b) {
		return nil
	}
	at := len(a.b)
	return a.b[at : at : at+n]
}

// hot:
func (a *arena) keep(p []byte) {
	a.b = a.b[:len(a.b)+len(p)]
	a.burst = append(a.burst, p)
}

// hot:
func (a *arena) flush(o Output) {
	if len(a.burst) > 0 {
		o.Send(a.burst)
		a.burst = a.burst[:0]
		a.b = a.b[:0]
	}
}

// extension writes RFC 8285 header extensions: one-byte headers, or two-byte
// ones where an id needs it.
type extension struct {
	b    []byte
	wide bool
}

// hot:
func (x *extension) add(id uint8, data ...byte) {
	if x.wide {
		x.b = append(x.b, id, byte(len(data)))
	} else {
		x.b = append(x.b, id<<4|byte(len(data)-1))
	}
	x.b = append(x.b, data...)
}

// writeHeader appends the RTP header of one packet to dst, which has room for
// maxHeader bytes. Extensions that change from send to send (playout delay) are
// only written where resends go over RTX: a resend without it must be identical.
//
// hot:
func (v *viewer) writeHeader(dst []byte, o outgoing, now time.Time) []byte {
	t, p, out := o.t, o.p, o.out
	dst = append(dst, 0x80, o.pt, byte(out.Seq>>8), byte(out.Seq))
	if out.Marker {
		dst[1] |= 0x80
	}
	dst = binary.BigEndian.AppendUint32(dst, out.TS)
	dst = binary.BigEndian.AppendUint32(dst, t.ssrc)
	head := len(dst)
	x := extension{b: append(dst, 0, 0, 0, 0), wide: t.wide}
	if t.ext.TransportCC != 0 && v.link != nil {
		seq := v.nextTransport()
		x.add(t.ext.TransportCC, byte(seq>>8), byte(seq))
	}
	if t.ext.AbsCapture != 0 && p.FrameStart && !p.Capture.IsZero() && (t.kind == media.Video || p.Seq&15 == 0) {
		stamp := report.AbsCapture(p.Capture)
		x.add(t.ext.AbsCapture, stamp[:]...)
	}
	if t.ext.PlayoutDelay != 0 && t.rtx != 0 && p.FrameStart {
		if delay, said := t.playout.Value(now); said {
			x.add(t.ext.PlayoutDelay, delay[0], delay[1], delay[2])
		}
	}
	if t.ext.Orientation != 0 && p.HasOrientation {
		x.add(t.ext.Orientation, p.Orientation)
	}
	if t.ext.AudioLevel != 0 && p.HasAudioLevel {
		level := p.AudioLevel
		if p.Voice {
			level |= 0x80
		}
		x.add(t.ext.AudioLevel, level)
	}
	return x.close(dst, head)
}

// close pads the block that begins at head and writes its header; without
// extensions the packet has none.
//
// hot:
func (x *extension) close(dst []byte, head int) []byte {
	size := len(x.b) - head - 4
	if size == 0 {
		return dst
	}
	for size%4 != 0 {
		x.b = append(x.b, 0)
		size++
	}
	profile := uint16(0xBEDE)
	if x.wide {
		profile = 0x1000
	}
	binary.BigEndian.PutUint16(x.b[head:], profile)
	binary.BigEndian.PutUint16(x.b[head+2:], uint16(size/4))
	x.b[0] |= 0x10
	return x.b
}

// writePadding appends an RTX packet of nothing but padding (RFC 3550 section
// 5.1): it measures the link and means nothing.
//
// hot:
func (v *viewer) writePadding(dst []byte, t *downTrack) []byte {
	t.rtxSeq++
	dst = append(dst, 0xa0, t.rtx, byte(t.rtxSeq>>8), byte(t.rtxSeq))
	dst = binary.BigEndian.AppendUint32(dst, t.lastTS)
	dst = binary.BigEndian.AppendUint32(dst, t.rtxSSRC)
	head := len(dst)
	x := extension{b: append(dst, 0, 0, 0, 0), wide: t.wide}
	seq := v.nextTransport()
	x.add(t.ext.TransportCC, byte(seq>>8), byte(seq))
	dst = x.close(dst, head)
	var pad [padding]byte
	pad[padding-1] = padding
	return append(dst, pad[:]...)
}

// startOf returns when the packet's frame was captured as far as known.
func startOf(p *media.Packet) time.Time {
	if !p.Capture.IsZero() {
		return p.Capture
	}
	return p.Arrival
}
