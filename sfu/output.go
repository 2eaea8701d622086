package sfu

import (
	"encoding/binary"
	"time"

	"github.com/pion/rtcp"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/egress"
	"github.com/sluice-live/sluice/sfu/report"
	"github.com/sluice-live/sluice/sfu/transport"
)

// Output sends one viewer's packets. Its owner is the viewer's shard.
type Output interface {
	// Room returns memory for a packet of at most n bytes, to be filled by append;
	// nil while there is no way to the viewer.
	Room(n int) []byte
	// Packet seals one packet and sends it with what else the shard's turn brings.
	// The header is what Room gave; the payload lies behind it or anywhere else,
	// such as where all viewers share it. A packet that cannot be sent is lost.
	Packet(header, payload []byte)
	// Control seals and sends one compound RTCP packet.
	Control(packets []rtcp.Packet)
}

// direct is the Output over a session's transport. It is the only user of the
// sealers: two would use a nonce twice.
type direct struct {
	conn    conn
	engine  *egress.Engine // the shard's
	sealer  egress.Sealer
	control egress.ControlSealer
	way     *transport.Way
	dest    *egress.Dest // another one whenever the way has changed
	rtcp    []byte
}

func newDirect(c conn, e *egress.Engine, s transport.Sealers) *direct {
	return &direct{conn: c, engine: e, sealer: s.RTP, control: s.RTCP}
}

// Room implements Output.
//
// hot:
func (d *direct) Room(n int) []byte {
	way := d.conn.Way()
	if way == nil {
		return nil
	}
	if way != d.way {
		d.way, d.dest = way, &egress.Dest{Batch: way.Batch, To: way.To, Sealer: d.sealer}
	}
	d.engine.Begin(d.dest)
	return d.engine.Room(n)
}

// Packet implements Output.
//
// hot:
func (d *direct) Packet(header, payload []byte) {
	_ = d.engine.Packet(header, payload) // the engine counts what is lost
}

// Control implements Output.
func (d *direct) Control(packets []rtcp.Packet) {
	raw, err := rtcp.Marshal(packets)
	if err != nil {
		return
	}
	if sealed, err := d.control.SealControl(d.rtcp[:0], raw); err == nil {
		d.rtcp = sealed
		_ = d.conn.Send(sealed)
	}
}

const (
	// maxHeader is 12 bytes and the extensions that we write, a descriptor among them.
	maxHeader = 12 + 4 + 64 + 2 + maxExtension
	// maxNarrow and maxExtension are what one extension holds behind a one-byte and
	// a two-byte header (RFC 8285 sections 4.2 and 4.3).
	maxNarrow, maxExtension = 16, 255
)

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
func (v *viewer) writeHeader(dst []byte, o *outgoing, now time.Time) []byte {
	t, p, out := o.t, o.p, &o.out
	dst = append(dst, 0x80, o.pt, byte(out.Seq>>8), byte(out.Seq))
	if out.Marker {
		dst[1] |= 0x80
	}
	dst = binary.BigEndian.AppendUint32(dst, out.TS)
	dst = binary.BigEndian.AppendUint32(dst, t.ssrc)
	head := len(dst)
	described := v.describe(o)
	x := extension{b: append(dst, 0, 0, 0, 0), wide: t.wide || len(described) > maxNarrow}
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
	if len(described) > 0 {
		x.add(t.ext.Descriptor, described...)
	}
	return x.close(dst, head)
}

// describe returns the packet's dependency descriptor as this viewer gets it, in
// the shard's memory; nil where there is none. It depends on what was numbered
// alone, so that a resend has the same.
//
// hot:
func (v *viewer) describe(o *outgoing) []byte {
	if o.t.ext.Descriptor == 0 || !o.out.Described || o.out.Padding {
		return nil
	}
	room := v.shard.descriptor[:0]
	if b := o.out.Descriptor(room, o.p.Descriptor); len(b) <= maxExtension {
		return b
	}
	plain := o.out
	plain.Targets = 0 // without the set of targets it is as long as it came
	return plain.Descriptor(room, o.p.Descriptor)
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

// writePadding appends the header of an RTX packet of nothing but padding (RFC
// 3550 section 5.1): it measures the link and means nothing.
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
	return x.close(dst, head)
}

// startOf returns when the packet's frame was captured as far as known.
func startOf(p *media.Packet) time.Time {
	if !p.Capture.IsZero() {
		return p.Capture
	}
	return p.Arrival
}
