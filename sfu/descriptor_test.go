package sfu

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/pion/rtp"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec/descriptor"
	"github.com/sluice-live/sluice/sfu/conform"
	"github.com/sluice-live/sluice/sfu/negotiate"
	"github.com/sluice-live/sluice/sfu/transport"
)

// These tests hold what a viewer gets of dependency descriptors, as its packets
// carry them. The kernels' own tests go through more modes of more codecs.

// newDescribedBench is a bench of Chromium's three AV1 layers and a viewer that
// takes descriptors, as the player offers.
func newDescribedBench(t testing.TB) *bench {
	t.Helper()
	b := newBench(t, "chromium-156-whip-AV1-x3.offer.sdp", true)
	offer, err := os.ReadFile("negotiate/testdata/offers/chromium-156-whep-player.offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	b.watch(t, offer)
	return b
}

// watch puts another viewer in the place of the bench's.
func (b *bench) watch(t testing.TB, offer []byte) {
	t.Helper()
	r, err := negotiate.Subscribe(offer, negotiate.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	b.out = &tape{}
	b.v = newViewer(b.st, media.Offer{Stream: "demo"}, r)
	b.v.conn = &transport.Conn{}
	b.v.out, b.v.joined = b.out, true
	b.v.link = nil // pacing has tests of its own
	b.v.shard.groups[b.st] = &group{viewers: []*viewer{b.v}}
}

// av1 is one layer of a publisher that sends L1T3 with descriptors, two packets a frame.
type av1 struct {
	line      *negotiate.Media
	layer     int
	structure descriptor.Structure
	seq       uint16
	ts        uint32
	number    uint16
	picture   int    // since the key frame
	base, mid uint16 // frame numbers of the newest frames of temporal layers 0 and 1
}

func newAV1(line *negotiate.Media, layer int) *av1 {
	const sw, rq, np = descriptor.Switch, descriptor.Required, descriptor.NotPresent
	e := &av1{line: line, layer: layer, seq: uint16(65500 - layer), ts: uint32(1<<32 - 50_000 + layer), number: uint16(65510 + layer)}
	// Six templates, as Chromium has for L1T3.
	e.structure = descriptor.Structure{First: uint8(7 * layer), Count: 6, Targets: 3, Chains: 1, HasSizes: true}
	e.structure.Sizes[0] = descriptor.Resolution{Width: 320 << layer, Height: 180 << layer}
	for i, of := range [][3]descriptor.Indication{{sw, sw, sw}, {np, rq, rq}, {np, np, sw}} {
		for j := range 2 {
			m := &e.structure.Templates[2*i+j]
			m.Temporal = uint8(i)
			for target, v := range of {
				m.Indications |= descriptor.Indications(v) << (2 * target)
			}
		}
		e.structure.Layers[i].Temporal = uint8(i)
	}
	return e
}

// frame makes the packets of the next frame.
func (e *av1) frame(t testing.TB, key bool) []*rtp.Packet {
	t.Helper()
	if key {
		e.picture = 0
	}
	temporal := [...]uint8{0, 2, 1, 2}[e.picture%4]
	f := descriptor.Frame{Template: e.structure.First + 2*temporal, Number: e.number, OwnDiffs: true, OwnChains: true,
		Indications: e.structure.Templates[2*temporal].Indications}
	ref := e.base
	if e.picture%4 == 3 {
		ref = e.mid
	}
	if !key {
		f.Diffs.N, f.Diffs.By[0], f.Chains[0] = 1, e.number-ref, uint8(e.number-e.base)
	}
	switch temporal {
	case 0:
		e.base = e.number
	case 1:
		e.mid = e.number
	}
	e.number++
	e.picture++
	e.ts += 3000
	var out []*rtp.Packet
	for i := range 2 {
		f.Start, f.End, f.HasStructure = i == 0, i == 1, key && i == 0
		p := &rtp.Packet{Header: rtp.Header{Version: 2, Marker: i == 1, PayloadType: e.line.Codecs[0].PT, SequenceNumber: e.seq, Timestamp: e.ts,
			SSRC: uint32(50 + e.layer), Extension: true, ExtensionProfile: 0x1000}, Payload: e.payload(key, i, temporal)}
		e.seq++
		for id, data := range map[uint8][]byte{e.line.Ext.RID: []byte(e.line.RIDs[e.layer]), e.line.Ext.Descriptor: e.structure.Append(nil, &f)} {
			if err := p.SetExtension(id, data); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, p)
	}
	return out
}

func (e *av1) payload(key bool, i int, temporal uint8) []byte {
	switch {
	case i > 0:
		return []byte{0x80, 2, 0xaa, byte(e.seq)}
	case key: // a sequence header of 160×96, as libaom writes it, and a frame
		return []byte{0x48, 11, 0x08, 0x00, 0x00, 0x00, 0x02, 0xaf, 0xff, 0x9b, 0x5f, 0x30, 0x08, 4, 6<<3 | 4, 0, 0x10, 0}
	}
	return []byte{0x40, 4, 6<<3 | 4, temporal << 5, 0x30, 0}
}

// seen is what a viewer was sent of its picture, each packet with its descriptor.
func (b *bench) seen(t interface {
	testing.TB
}, from int) (all []*rtp.Packet) {
	video := b.v.tracks[media.VideoTrack]
	for _, raw := range b.out.sent[from:] {
		if p := parse(t, raw); p.SSRC == video.ssrc {
			all = append(all, p)
		}
	}
	return all
}

// What a viewer gets of three AV1 layers in three temporal layers each, switched and thinned again and again, with
// packets lost and late, every number near its end: an independent reader accepts it, and each packet has a descriptor.
func TestDescribedLayersAreOneGoodStream(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newDescribedBench(t)
		line := b.pub.remote.Video()
		layers := []*av1{newAV1(line, 0), newAV1(line, 1), newAV1(line, 2)}
		id := b.v.tracks[media.VideoTrack].ext.Descriptor
		late := rapid.Bool().Draw(rt, "late")
		checker := &conform.Checker{Holes: late, Unmarked: late}
		var waiting []*rtp.Packet
		for i := range rapid.IntRange(1, 80).Draw(rt, "pictures") {
			b.now = b.now.Add(33 * time.Millisecond)
			for l, e := range layers {
				for _, p := range e.frame(t, i == 0 || (i+3*l)%17 == 0) {
					if late && rapid.IntRange(0, 9).Draw(rt, "when") == 0 {
						waiting = append(waiting, p)
						continue
					}
					b.feed(p)
				}
			}
			if len(waiting) > 3 {
				for _, p := range waiting {
					b.feed(p)
				}
				waiting = nil
			}
			b.whim(rt)
			b.v.house(b.now)
		}
		structures := 0
		for _, p := range b.seen(t, 0) {
			dd := p.GetExtension(id)
			if len(p.Payload) > 0 && len(dd) < 3 && !p.Padding {
				rt.Fatalf("packet %d has no descriptor", p.SequenceNumber)
			}
			if wide := p.ExtensionProfile == 0x1000; wide != descriptor.HasStructure(dd) {
				rt.Fatalf("packet %d has two-byte headers: %v, for % x", p.SequenceNumber, wide, dd)
			} else if wide {
				structures++
			}
			checker.Add(conform.Packet{Codec: media.AV1, Seq: p.SequenceNumber, TS: p.Timestamp, Marker: p.Marker, Payload: p.Payload, Descriptor: dd})
		}
		if faults := checker.Faults(); len(faults) > 0 {
			rt.Fatalf("%d faults: %s", len(faults), faults[0])
		}
		if structures == 0 && !late {
			rt.Fatal("no structure was sent")
		}
	})
}

// whim changes what the viewer or its link wants, now and then.
func (b *bench) whim(rt *rapid.T) {
	video := b.v.tracks[media.VideoTrack]
	switch n := rapid.IntRange(0, 30).Draw(rt, "whim"); {
	case n < 3:
		video.selector.Limit(media.Layer(n), 255, 255)
	case n < 6:
		video.selector.Limit(video.selector.Current(), 255, uint8(n-3))
	case n == 6:
		video.selector.Limit(media.AnyLayer, 255, 255)
	case n == 7:
		video.selector.Resync()
	}
}

// A viewer who joins between two key frames begins at the one in the ring, with its structure.
func TestAJoinerGetsTheStructure(t *testing.T) {
	b := newDescribedBench(t)
	e := newAV1(b.pub.remote.Video(), 2)
	for i := range 20 {
		b.now = b.now.Add(33 * time.Millisecond)
		for _, p := range e.frame(t, i == 0) {
			b.feed(p)
		}
	}
	offer, err := os.ReadFile("negotiate/testdata/offers/chromium-156-whep-player.offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	b.watch(t, offer)
	b.v.begin(b.now)
	got := b.seen(t, 0)
	id := b.v.tracks[media.VideoTrack].ext.Descriptor
	if len(got) < 2 || !descriptor.HasStructure(got[0].GetExtension(id)) || descriptor.HasStructure(got[1].GetExtension(id)) {
		t.Fatalf("%d packets, the first says % x", len(got), got[0].GetExtension(id))
	}
}

// A resend over RTX carries the descriptor that the packet had.
func TestAResendKeepsItsDescriptor(t *testing.T) {
	b := newDescribedBench(t)
	e := newAV1(b.pub.remote.Video(), 2)
	video := b.v.tracks[media.VideoTrack]
	for i := range 12 {
		b.now = b.now.Add(33 * time.Millisecond)
		video.selector.Limit(media.AnyLayer, 255, 1)
		for _, p := range e.frame(t, i == 0) {
			b.feed(p)
		}
	}
	first := b.seen(t, 0)
	for _, p := range first {
		b.now = b.now.Add(time.Second)
		before := len(b.out.sent)
		b.v.resendOne(video, p.SequenceNumber, b.now)
		if len(b.out.sent) != before+1 {
			t.Fatalf("%d resends", len(b.out.sent)-before)
		}
		again := parse(t, b.out.sent[before])
		if again.SSRC != video.rtxSSRC || !bytes.Equal(again.GetExtension(video.ext.Descriptor), p.GetExtension(video.ext.Descriptor)) || !bytes.Equal(again.Payload[2:], p.Payload) {
			t.Errorf("packet %d: % x, again % x", p.SequenceNumber, p.GetExtension(video.ext.Descriptor), again.GetExtension(video.ext.Descriptor))
		}
	}
}

// A viewer that did not offer descriptors, or not both forms of header extensions, gets none.
func TestDescriptorsGoToWhomTheyWereNegotiatedWith(t *testing.T) {
	player, err := os.ReadFile("negotiate/testdata/offers/chromium-156-whep-player.offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	plain, err := os.ReadFile("negotiate/testdata/offers/chromium-156-whep.offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	for name, offer := range map[string][]byte{"not offered": plain, "not mixed": bytes.ReplaceAll(player, []byte("a=extmap-allow-mixed\r\n"), nil)} {
		b := newDescribedBench(t)
		b.watch(t, offer)
		e := newAV1(b.pub.remote.Video(), 2)
		for i := range 5 {
			for _, p := range e.frame(t, i == 0) {
				b.feed(p)
			}
		}
		for _, p := range b.seen(t, 0) {
			if p.ExtensionProfile == 0x1000 || p.GetExtension(14) != nil {
				t.Errorf("%s: extensions %v", name, p.GetExtensionIDs())
			}
		}
		if len(b.out.sent) < 10 {
			t.Errorf("%s: %d packets", name, len(b.out.sent))
		}
	}
}

// The structure and all that a header may have fit; nothing is allocated for it.
func TestDescribingAllocatesNothing(t *testing.T) {
	b := newDescribedBench(t)
	e := newAV1(b.pub.remote.Video(), 2)
	for i := range 5 {
		b.now = b.now.Add(33 * time.Millisecond)
		for _, p := range e.frame(t, i == 0) {
			b.feed(p)
		}
	}
	b.out.discard = true
	u := b.pub.at(media.VideoTrack, 2)
	key, _ := u.ring.LastKey()
	like := u.ring.Get(key)
	var packets [2000]*media.Packet
	for i := range packets {
		p := *like
		p.Seq, p.TS = u.newest+1+uint64(i), like.TS+media.Ticks(3000*(i+10))
		packets[i] = &p
	}
	i := 0
	before := b.v.stats.packets.Load()
	if n := testing.AllocsPerRun(1000, func() {
		b.now = b.now.Add(33 * time.Millisecond)
		b.v.shard.forward(delivery{b.st, b.pub.source, packets[i : i+1]}, b.now)
		i++
	}); n != 0 {
		t.Errorf("%v allocations per forwarded packet", n)
	}
	if got := b.v.stats.packets.Load() - before; got != uint64(i) {
		t.Errorf("%d of %d packets were forwarded", got, i)
	}
}

// The longest descriptor that a header extension holds is passed on, with all other extensions beside it.
func TestTheLongestDescriptorFits(t *testing.T) {
	b := newDescribedBench(t)
	e := newAV1(b.pub.remote.Video(), 2)
	p := e.frame(t, true)[0]
	long := append(bytes.Clone(p.GetExtension(e.line.Ext.Descriptor)), make([]byte, maxExtension)...)[:maxExtension]
	if err := p.SetExtension(e.line.Ext.Descriptor, long); err != nil {
		t.Fatal(err)
	}
	b.feed(p)
	got := b.seen(t, 0)
	if len(got) != 1 || len(got[0].GetExtension(b.v.tracks[media.VideoTrack].ext.Descriptor)) != maxExtension || !bytes.Equal(got[0].Payload, p.Payload) {
		t.Fatalf("%d packets: %+v", len(got), got)
	}
	b.v.tracks[media.VideoTrack].selector.Limit(2, 255, 0) // the set of targets does not fit any more
	p2 := e.frame(t, true)[0]
	if err := p2.SetExtension(e.line.Ext.Descriptor, long); err != nil {
		t.Fatal(err)
	}
	b.feed(p2)
	if got = b.seen(t, 0); len(got) != 2 || len(got[1].GetExtension(b.v.tracks[media.VideoTrack].ext.Descriptor)) != maxExtension {
		t.Fatalf("%d packets", len(got))
	}
}
