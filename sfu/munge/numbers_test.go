package munge_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
	"github.com/sluice-live/sluice/media/codec/descriptor"
	"github.com/sluice-live/sluice/sfu/munge"
)

// vp9Payload writes a descriptor of RFC 9628 section 4.2 that is not flexible; long makes the picture id 15 bits.
func vp9Payload(id uint16, long bool, temporal, spatial, tl0 uint8, end bool) []byte {
	b := []byte{0xe8}
	if end {
		b[0] |= 4
	}
	if long {
		b = append(b, 0x80|byte(id>>8), byte(id))
	} else {
		b = append(b, byte(id)&0x7f)
	}
	return append(b, temporal<<5|spatial<<1, tl0, 0x86)
}

// Over switches picture ids and TL0PICIDX go on by one; within a source their distances stay, whatever is dropped, as
// references count them.
func TestVP9NumbersGoOnOverSwitches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := munge.New(munge.Config{})
		long := rapid.Bool().Draw(t, "long")
		mask := uint16(0x7f)
		if long {
			mask = 0x7fff
		}
		var last codec.VP9
		begun := false
		for l := range rapid.IntRange(1, 6).Draw(t, "sources") {
			first, tl0 := rapid.Uint16().Draw(t, "id")&mask, rapid.Uint8().Draw(t, "tl0")
			s := source{codec: media.VP9, layer: media.Layer(l), seq: 1 << 16, ts: 1 << 32, at: start, perFrame: 1}
			var before uint16 // the source's id of the picture sent before
			for n := range rapid.IntRange(1, 200).Draw(t, "pictures") {
				p := s.next()
				id := (first + uint16(n)) & mask
				p.Payload = vp9Payload(id, long, uint8(n%2), 0, tl0+uint8(n/2), true)
				if n > 0 && n%2 == 1 && rapid.Bool().Draw(t, "drop") {
					m.Drop(p)
					continue
				}
				out, ok := m.Next(p, n == 0, start)
				if !ok || !out.PatchVP9 || out.Patch {
					t.Fatalf("picture %d: %v %+v", n, ok, out)
				}
				payload := slices.Clone(p.Payload)
				out.Payload(payload)
				d, err := codec.ParseVP9(payload)
				if err != nil {
					t.Fatal(err)
				}
				step, wantTL0 := uint16(1), last.TL0+1
				if n > 0 {
					step = (id - before) & mask
					wantTL0 = last.TL0 + uint8(n/2) - uint8((n-int(step))/2)
				}
				if begun && ((d.PictureID-last.PictureID)&mask != step || d.TL0 != wantTL0) {
					t.Fatalf("source %d picture %d: %+v after %+v", l, n, d, last)
				}
				if ref, ok := m.Lookup(out.Seq); !ok || ref.Out != out {
					t.Fatalf("looked up as %+v", ref)
				}
				last, before, begun = d, id, true
			}
		}
	})
}

// described makes a layer's packets carry dependency descriptors, one frame each.
func described(s *source, number uint16, more ...byte) *media.Packet {
	p := s.next()
	p.Codec = media.AV1
	p.Descriptor = append([]byte{0xc1, byte(number >> 8), byte(number)}, more...)
	return p
}

// structured makes the next packet bring a structure of three decode targets.
func structured(s *source, number uint16) *media.Packet {
	p := described(s, number)
	st := descriptor.Structure{First: 1, Count: 1, Targets: 3}
	p.Descriptor = st.Append(nil, &descriptor.Frame{Start: true, End: true, Template: 1, Number: number, HasStructure: true})
	return p
}

func TestFrameNumbersGoOnOverSwitchesAndKeepTheirDistances(t *testing.T) {
	m := munge.New(munge.Config{})
	a := source{seq: 70000, ts: 1 << 32, at: start, perFrame: 1}
	number := func(p *media.Packet, switched bool) uint16 {
		o := send(t, m, p, switched)
		n, ok := descriptor.Number(o.Descriptor(nil, p.Descriptor))
		if !ok || n != o.Frame {
			t.Fatalf("%+v", o)
		}
		if ref, ok := m.Lookup(o.Seq); !ok || ref.Out != o {
			t.Fatalf("looked up as %+v", ref)
		}
		return n
	}
	if n := number(structured(&a, 65534), true); n != 65534 {
		t.Errorf("the first is %d", n)
	}
	m.Drop(described(&a, 65535))
	if n := number(described(&a, 0), false); n != 0 {
		t.Errorf("after a drop %d", n)
	}
	b := source{layer: 1, seq: 70000, ts: 1 << 32, at: start, perFrame: 1}
	if n := number(structured(&b, 40000), true); n != 1 {
		t.Errorf("after the switch %d", n)
	}
	late := described(&b, 40001)
	if n := number(described(&b, 40002), false); n != 3 {
		t.Errorf("then %d", n)
	}
	if n := number(late, false); n != 2 {
		t.Errorf("the late one is %d", n)
	}
	c := source{layer: 2, seq: 70000, ts: 1 << 32, at: start, perFrame: 1}
	if n := number(structured(&c, 7), true); n != 4 {
		t.Errorf("after the second switch %d", n)
	}
}

// What is sent behind what was dropped is still the newest that the viewer has.
func TestNumbersDoNotGoBackBehindDrops(t *testing.T) {
	m := munge.New(munge.Config{})
	a := source{seq: 70000, ts: 1 << 32, at: start, perFrame: 1}
	first := send(t, m, structured(&a, 10), true)
	late := described(&a, 11)
	m.Drop(described(&a, 12))
	x := send(t, m, late, false)
	b := source{layer: 1, seq: 70000, ts: 1 << 32, at: start, perFrame: 1}
	y := send(t, m, structured(&b, 500), true)
	if x.Frame != first.Frame+1 || y.Frame != x.Frame+1 || int32(y.TS-x.TS) <= 0 || y.Seq != x.Seq+1 {
		t.Errorf("%+v, %+v, %+v", first, x, y)
	}
}

func TestTargetsAreToldWithTheFirstPacketOfAFrame(t *testing.T) {
	m := munge.New(munge.Config{})
	s := source{seq: 70000, ts: 1 << 32, at: start, perFrame: 2}
	m.Targets(0b011, 3)
	if o := send(t, m, structured(&s, 5), true); o.Targets != 3 || o.Active != 0b011 {
		t.Errorf("%+v", o)
	}
	p := described(&s, 5)
	p.Descriptor[0] &^= 0x80
	if o := send(t, m, p, false); o.Targets != 0 || !bytes.Equal(o.Descriptor(nil, p.Descriptor), p.Descriptor) {
		t.Errorf("inside a frame: %+v", o)
	}
	p = described(&s, 6)
	if o := send(t, m, p, false); o.Targets != 3 || o.Active != 0b011 || len(o.Descriptor(nil, p.Descriptor)) != 4 {
		t.Errorf("the next frame: %+v", o)
	}
	m.Targets(1, 20) // more than there is room for: the publisher's stays
	if o := send(t, m, described(&s, 7), false); o.Targets != 0 {
		t.Errorf("%+v", o)
	}
}

// That all targets are sent again is told as long as a viewer may believe otherwise: until the next structure.
func TestAllTargetsAreToldToOneWhoHadFewer(t *testing.T) {
	m := munge.New(munge.Config{})
	s := source{seq: 70000, ts: 1 << 32, at: start, perFrame: 1}
	for i, step := range []struct {
		key    bool
		active uint32
		told   uint8
	}{{true, 0b111, 0}, {false, 0b111, 0}, {false, 0b001, 3}, {false, 0b111, 3}, {false, 0b111, 3}, {true, 0b111, 0}, {false, 0b111, 0}} {
		m.Targets(step.active, 3)
		p := described(&s, uint16(i))
		if step.key {
			s.n--
			p = structured(&s, uint16(i))
		}
		if o := send(t, m, p, i == 0); o.Targets != step.told || step.told > 0 && o.Active != step.active {
			t.Errorf("frame %d: %+v", i, o)
		}
	}
}

// Descriptors whose structure the viewer never got are left out, until one comes.
func TestDescriptorsWithoutAStructureAreLeftOut(t *testing.T) {
	m := munge.New(munge.Config{})
	a := source{seq: 70000, ts: 1 << 32, at: start, perFrame: 1}
	if o := send(t, m, described(&a, 10), true); o.Described {
		t.Errorf("begun without: %+v", o)
	}
	if o := send(t, m, structured(&a, 11), false); !o.Described {
		t.Errorf("with: %+v", o)
	}
	if o := send(t, m, described(&a, 12), true); !o.Described || o.Frame != 12 { // further on in the same layer
		t.Errorf("after a pause: %+v", o)
	}
	b := source{layer: 1, seq: 70000, ts: 1 << 32, at: start, perFrame: 1}
	if o := send(t, m, described(&b, 500), true); o.Described {
		t.Errorf("another layer: %+v", o)
	}
}

// The marker ends the top forwarded spatial layer, of late packets the one of their picture.
func TestMarkerIsWhereTheTopWas(t *testing.T) {
	m := munge.New(munge.Config{})
	s := source{codec: media.VP9, seq: 70000, ts: 1 << 32, at: start, perFrame: 3}
	layerFrame := func() *media.Packet {
		spatial := uint8(s.n % 3)
		p := s.next()
		p.Spatial, p.Payload = spatial, vp9Payload(uint16(s.n/3), true, 0, spatial, 0, true)
		return p
	}
	m.Top(1)
	a := []*media.Packet{layerFrame(), layerFrame(), layerFrame()}
	if o := send(t, m, a[0], true); o.Marker {
		t.Error("the marker is below the top")
	}
	b := []*media.Packet{layerFrame(), layerFrame(), layerFrame()}
	m.Top(0)
	if o := send(t, m, b[0], false); !o.Marker {
		t.Error("no marker at the new top")
	}
	if o := send(t, m, a[1], false); !o.Marker {
		t.Error("no marker where the top was")
	}
	m.Top(255)
	c := []*media.Packet{layerFrame(), layerFrame(), layerFrame()}
	for i, p := range c {
		if o := send(t, m, p, false); o.Marker != (i == 2) {
			t.Errorf("layer %d: marker %v", i, o.Marker)
		}
	}
}

// A place that was left for what is not wanted goes out as padding, and again so if it is asked for.
func TestFillClosesAHoleWithPadding(t *testing.T) {
	m := munge.New(munge.Config{FirstSeq: 10})
	s := source{seq: 70000, ts: 1 << 32, at: start, perFrame: 1}
	send(t, m, s.next(), true)
	late := s.next()
	send(t, m, s.next(), false)
	o, ok := m.Fill(late)
	if !ok || !o.Padding || o.Seq != 11 || o.Marker {
		t.Fatalf("%v %+v", ok, o)
	}
	if ref, ok := m.Lookup(11); !ok || ref.Out != o {
		t.Errorf("looked up as %+v", ref)
	}
	if _, ok := m.Fill(late); ok {
		t.Error("it was filled twice")
	}
	if _, ok := m.Next(late, false, start); ok {
		t.Error("it was sent after all")
	}
	if _, ok := m.Fill(s.next()); ok {
		t.Error("a packet in order has no hole")
	}
}

// The publisher changes its codec on the way (another payload type): the viewer's stream goes on.
func TestTrap04_CodecChangesMidStream(t *testing.T) {
	m := munge.New(munge.Config{})
	v := pictures{source: source{seq: 70000, ts: 1 << 32, at: start}, first: 100}
	x := send(t, m, v.picture(), true)
	p := v.next()
	p.Codec, p.Payload = media.VP9, vp9Payload(5000, true, 0, 0, 7, true)
	y := send(t, m, p, true)
	back := v.picture()
	z := send(t, m, back, true)
	if y.Seq != x.Seq+1 || z.Seq != y.Seq+1 || y.Patch || !y.PatchVP9 || !z.Patch || z.PatchVP9 || z.PictureID != x.PictureID+1 || y.TS-x.TS != z.TS-y.TS {
		t.Errorf("%+v\n%+v\n%+v", x, y, z)
	}
}

func TestNumbersAllocateNothing(t *testing.T) {
	for _, c := range []media.Codec{media.VP9, media.AV1} {
		m := munge.New(munge.Config{})
		p := &media.Packet{Codec: c, Seq: 70000, TS: 1 << 32, Arrival: start, Payload: vp9Payload(5, true, 0, 0, 7, true), Descriptor: structured(&source{}, 1).Descriptor}
		m.Targets(3, 3)
		dst, body := make([]byte, 0, 64), make([]byte, 64)
		if n := testing.AllocsPerRun(1000, func() {
			m.Top(uint8(p.Seq & 1))
			o, _ := m.Next(p, p.Seq == 70000, start)
			copy(body, p.Payload)
			o.Payload(body[:len(p.Payload)])
			o.Descriptor(dst, p.Descriptor)
			p.Seq += 2
			m.Lookup(o.Seq)
			late := *p
			late.Seq -= 3
			m.Fill(&late)
		}); n != 0 {
			t.Errorf("%v: %v allocations per packet", c, n)
		}
	}
}
