package conform_test

import (
	"encoding/binary"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec/descriptor"
)

// mode is what a made-up publisher sends.
type mode struct {
	name              string
	codec             media.Codec
	spatial, temporal int
	keyOnly           bool // upper spatial layers need the ones below in key pictures only (the _KEY modes)
	flexible          bool // VP9
	described         bool // dependency descriptors
	sync              bool // VP9: upper spatial layers are cut loose from their past now and then (P = 0)
	short             bool // picture ids of 7 bits
}

var modes = []mode{
	{name: "VP8", codec: media.VP8, spatial: 1, temporal: 3},
	{name: "VP8 with short ids", codec: media.VP8, spatial: 1, temporal: 2, short: true},
	{name: "VP8 with descriptors", codec: media.VP8, spatial: 1, temporal: 3, described: true},
	{name: "VP9 flexible", codec: media.VP9, spatial: 3, temporal: 3, flexible: true},
	{name: "VP9 flexible with layer syncs", codec: media.VP9, spatial: 3, temporal: 2, flexible: true, sync: true},
	{name: "VP9 flexible K-SVC", codec: media.VP9, spatial: 3, temporal: 3, flexible: true, keyOnly: true},
	{name: "VP9 not flexible", codec: media.VP9, spatial: 2, temporal: 3},
	{name: "VP9 with short ids", codec: media.VP9, spatial: 1, temporal: 3, short: true},
	{name: "VP9 with descriptors", codec: media.VP9, spatial: 3, temporal: 3, flexible: true, described: true},
	{name: "VP9 K-SVC with descriptors", codec: media.VP9, spatial: 2, temporal: 3, flexible: true, keyOnly: true, described: true},
	{name: "AV1", codec: media.AV1, spatial: 1, temporal: 1},
	{name: "AV1 L1T3 with descriptors", codec: media.AV1, spatial: 1, temporal: 3, described: true},
	{name: "AV1 L3T3 with descriptors", codec: media.AV1, spatial: 3, temporal: 3, described: true},
	{name: "AV1 L3T3_KEY with descriptors", codec: media.AV1, spatial: 3, temporal: 3, keyOnly: true, described: true},
	{name: "H264", codec: media.H264, spatial: 1, temporal: 1},
	{name: "H264 with descriptors", codec: media.H264, spatial: 1, temporal: 3, described: true},
}

// pattern gives each picture of a group its temporal layer.
var pattern = map[int][]int{1: {0}, 2: {0, 1}, 3: {0, 2, 1, 2}}

// made is one packet and what is known of it.
type made struct {
	*media.Packet
	frame uint64
	of    int // packets of the frame
	needs []uint64
}

// encoder makes the pictures of one encoding, with references as encoders for WebRTC have them.
type encoder struct {
	mode
	layer  media.Layer
	epoch  media.Epoch
	seq    uint64
	ts     media.Ticks
	id     uint16 // picture id
	tl0    uint8
	keyIdx uint8
	number uint16 // of descriptors
	group  int    // picture within its group
	groups int
	ids    *uint64 // gives frames their identity
	pick   func(n int) int

	structure descriptor.Structure
	offset    uint8
	last      [8][4]ref // newest frame of each spatial and temporal layer
	chain     [8]ref    // newest frame of each chain
	begun     bool
}

type ref struct {
	frame   uint64
	number  uint16
	picture uint16
	ok      bool
	order   uint64
}

// picture makes the next picture, a key one if asked or if it is the first.
func (e *encoder) picture(key bool) (out []made) {
	key = key || !e.begun
	e.begun = true
	if key {
		e.group, e.groups = 0, 0
		e.last, e.chain = [8][4]ref{}, [8]ref{}
		e.keyIdx++
		e.offset += uint8(len(templates(e.mode)))
		e.structure = e.describe()
	}
	temporal := pattern[e.temporal][e.group%len(pattern[e.temporal])]
	if temporal == 0 {
		e.tl0++
	}
	for s := range e.spatial {
		out = append(out, e.frame(s, temporal, key)...)
	}
	out[len(out)-1].Marker = true
	e.ts += 3000
	e.id++
	if e.group++; e.group%len(pattern[e.temporal]) == 0 {
		e.groups++
	}
	return out
}

// needs returns what a frame refers to: the newest frame of its layer's lower temporal layers, and in every other group
// those of its own one too; the spatial layer below.
func (e *encoder) needs(s, t int, key, loose bool) (refs []ref, inter bool) {
	inter = s > 0 && (key || !e.keyOnly)
	if inter {
		refs = append(refs, e.newest(s-1, t))
	}
	if key || loose {
		return refs, inter
	}
	if t == 0 {
		return append(refs, e.last[s][0]), inter
	}
	if lower := e.newest(s, t-1); lower.ok {
		refs = append(refs, lower)
	}
	if own := e.last[s][t]; e.tied() && own.ok {
		refs = append(refs, own)
	}
	return refs, inter
}

// tied: upper temporal layers refer to their own past, so that they cannot be entered.
func (e *encoder) tied() bool { return e.flexibleOrTold() && e.groups%3 == 2 }

// flexibleOrTold: references may change from group to group.
func (e *encoder) flexibleOrTold() bool {
	return e.codec == media.VP8 || e.flexible || e.described
}

// newest returns the newest frame of a spatial layer in temporal layers up to t.
func (e *encoder) newest(s, t int) (r ref) {
	for i := range t + 1 {
		if l := e.last[s][i]; l.ok && (!r.ok || l.order > r.order) {
			r = l
		}
	}
	return r
}

func (e *encoder) frame(s, t int, key bool) (out []made) {
	loose := e.sync && s > 0 && t == 0 && !key && e.pick(6) == 0
	refs, inter := e.needs(s, t, key, loose)
	*e.ids++
	self := ref{*e.ids, e.number, e.id, true, *e.ids}
	n := 1 + e.pick(3)
	var needs []uint64
	for _, r := range refs {
		needs = append(needs, r.frame)
	}
	dd := e.descriptors(s, t, key, refs, n)
	for i := range n {
		p := &media.Packet{
			Epoch: e.epoch, Track: media.VideoTrack, Layer: e.layer, Codec: e.codec, Seq: e.seq, TS: e.ts,
			Payload: e.payload(s, t, key, loose, inter, refs, i, n),
		}
		if dd != nil {
			p.Descriptor = dd[i]
		}
		e.seq++
		out = append(out, made{p, self.frame, n, needs})
	}
	if loose { // nothing after it refers to what was before
		e.last[s] = [4]ref{}
	}
	e.last[s][t] = self
	e.chains(s, t, key, self)
	e.number++
	return out
}

// payload writes what the codec puts before the frame, and a beginning of the frame.
func (e *encoder) payload(s, t int, key, loose, inter bool, refs []ref, i, n int) []byte {
	switch e.codec {
	case media.VP8:
		return e.vp8(t, key, i)
	case media.VP9:
		return e.vp9(s, t, key, loose, inter, refs, i, n)
	case media.AV1:
		return e.av1(s, t, key, i, n)
	}
	return e.h264(key, i, n)
}

func flag(on bool, v byte) byte {
	if on {
		return v
	}
	return 0
}

func (e *encoder) pictureID() []byte {
	if e.short {
		return []byte{byte(e.id) & 0x7f}
	}
	return binary.BigEndian.AppendUint16(nil, e.id|0x8000)
}

func (e *encoder) vp8(t int, key bool, i int) []byte {
	b := []byte{0x80 | flag(i == 0, 0x10), 0xf0}
	b = append(b, e.pictureID()...)
	b = append(b, e.tl0, byte(t)<<6|flag(t > 0 && e.group > 0 && !e.tied() && t == 1 || t == 2 && e.syncs(), 0x20)|e.keyIdx&0x1f)
	if i > 0 {
		return append(b, 0xaa)
	}
	return append(b, flag(!key, 1), 2, 0, 0x9d, 1, 0x2a, 0x80, 2, 0x68, 1)
}

// syncs: a frame of the uppermost layer depends on the base layer only.
func (e *encoder) syncs() bool { return e.group%4 == 1 && !e.tied() }

func (e *encoder) vp9(s, t int, key, loose, inter bool, refs []ref, i, n int) []byte {
	inPicture := !key && !loose
	up := !(e.flexible && (e.groups%3 == 1 && t == 0 || e.tied())) // what follows is loose from what was above before
	b := []byte{0xa0 | flag(inPicture, 0x40) | flag(e.flexible, 0x10) | flag(i == 0, 8) | flag(i == n-1, 4) | flag(key && s == 0 && i == 0, 2)}
	b = append(b, e.pictureID()...)
	b = append(b, byte(t)<<5|flag(up, 0x10)|byte(s)<<1|flag(inter, 1))
	if !e.flexible {
		b = append(b, e.tl0)
	}
	if e.flexible && inPicture {
		var diffs []byte
		for _, r := range refs {
			if d := e.id - r.picture; d != 0 {
				diffs = append(diffs, byte(d)<<1)
			}
		}
		for k := range diffs {
			diffs[k] |= flag(k < len(diffs)-1, 1)
		}
		b = append(b, diffs...)
	}
	if key && s == 0 && i == 0 {
		b = append(b, e.groupOfPictures()...)
	}
	if i > 0 {
		return append(b, 0xaa)
	}
	if key && s == 0 {
		return append(b, 0x82, 0x49, 0x83, 0x42, 0x00, 0x27, 0xf0, 0x16, 0x70)
	}
	return append(b, 0x86, 0)
}

// groupOfPictures is the scalability structure of a key picture (RFC 9628 section 4.2.1).
func (e *encoder) groupOfPictures() []byte {
	b := []byte{byte(e.spatial-1)<<5 | flag(!e.flexible, 8)}
	if e.flexible {
		return b
	}
	diffs := map[int][][]byte{1: {{1}}, 2: {{2}, {1}}, 3: {{4}, {1}, {2}, {1}}}[e.temporal]
	b = append(b, byte(len(diffs)))
	for i, d := range diffs {
		b = append(b, byte(pattern[e.temporal][i])<<5|0x10|byte(len(d))<<2)
		b = append(b, d...)
	}
	return b
}

func (e *encoder) av1(s, t int, key bool, i, n int) []byte {
	first := key && s == 0 && i == 0
	b := []byte{flag(i > 0, 0x80) | flag(i < n-1, 0x40) | flag(first, 8)}
	if i > 0 {
		return append(b, 2, 0xaa, 0xbb)
	}
	if first { // sequence header of 160×96, as libaom writes it
		header := []byte{0x08, 0x00, 0x00, 0x00, 0x02, 0xaf, 0xff, 0x9b, 0x5f, 0x30, 0x08}
		b = append(append(b, byte(len(header))), header...)
	}
	return append(b, 4, 6<<3|4, byte(t)<<5|byte(s)<<3, flag(!key || s > 0, 0x20)|0x10, 0)
}

func (e *encoder) h264(key bool, i, n int) []byte {
	kind := byte(1)
	if key {
		kind = 5
	}
	if n == 1 {
		return []byte{0x60 | kind, 0x88, 1}
	}
	return []byte{0x60 | 28, kind | flag(i == 0, 0x80) | flag(i == n-1, 0x40), 0x88, 1}
}
