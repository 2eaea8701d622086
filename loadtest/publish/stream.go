package publish

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/pion/rtp"
)

// stream is one RTP stream that goes out: its numbering, its header
// extensions, and what it may have to send again. The player owns it, but for
// the history, which lite locks.
type stream struct {
	audio      bool
	layer      int
	ssrc       uint32
	pt         uint8
	repairSSRC uint32 // 0 without RTX
	repairPT   uint8
	extensions []extension

	seq       uint16
	base      uint32 // of the RTP timestamps
	clock     uint32
	started   bool
	lastTS    uint32
	lastAt    time.Time
	packets   uint32
	octets    uint32
	repairSeq uint16

	kept map[uint16][]byte // sealed, or plain with RTX, by sequence number
}

// extension is one header extension with a fixed value.
type extension struct {
	id    uint8
	value []byte
}

// keep is how many packets a stream remembers for NACKs: about 2 s of video.
const keep = 512

func newStream(audio bool, layer int, ssrc uint32, pt uint8) *stream {
	clock := uint32(90000)
	if audio {
		clock = 48000
	}
	return &stream{audio: audio, layer: layer, ssrc: ssrc, pt: pt, clock: clock, seq: uint16(rand.Uint32()), base: rand.Uint32(), kept: map[uint16][]byte{}} //nolint:gosec // chance, not secrets
}

// next makes the header of the stream's next packet.
func (s *stream) next(ts uint32, marker bool, size int, at time.Time) *rtp.Header {
	s.seq++
	h := &rtp.Header{Version: 2, Marker: marker, PayloadType: s.pt, SequenceNumber: s.seq, Timestamp: s.base + ts, SSRC: s.ssrc}
	for _, e := range s.extensions {
		_ = h.SetExtension(e.id, e.value) // ids 1–14 and short values always fit
	}
	s.packets++
	s.octets += uint32(size)
	if !s.started || h.Timestamp != s.lastTS {
		s.started, s.lastTS, s.lastAt = true, h.Timestamp, at
	}
	return h
}

func (s *stream) remember(seq uint16, b []byte) {
	s.kept[seq] = b
	delete(s.kept, seq-keep)
}

// repair makes the RTX packet of a plain one (RFC 4588 section 4).
func (s *stream) repair(seq uint16, plain []byte) (*rtp.Header, []byte, bool) {
	var p rtp.Packet
	if p.Unmarshal(plain) != nil {
		return nil, nil, false
	}
	h := p.Header.Clone()
	s.repairSeq++
	h.SSRC, h.PayloadType, h.SequenceNumber = s.repairSSRC, s.repairPT, s.repairSeq
	return &h, append(binary.BigEndian.AppendUint16(nil, seq), p.Payload...), true
}
