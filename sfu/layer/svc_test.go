package layer_test

import (
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/sfu/layer"
)

// vp9 makes a packet that begins and ends a layer frame of VP9.
func vp9(seq uint64, spatial, temporal uint8, up, inter, key bool) *media.Packet {
	p := svc(seq, spatial, temporal, key, true)
	bit := func(on bool, v byte) byte {
		if on {
			return v
		}
		return 0
	}
	p.Codec = media.VP9
	p.Payload = []byte{0xbc | bit(inter, 0x40), 0x80, byte(seq), temporal<<5 | bit(up, 0x10) | spatial<<1 | 1, 1 << 1, 0x86}
	return p
}

// VP9's U speaks of the layers above the picture that has it, not of its own.
func TestVP9RisesAfterAPictureThatSaysSo(t *testing.T) {
	s := layer.New()
	s.Limit(media.AnyLayer, 255, 0)
	expect(t, s, vp9(0, 0, 0, true, false, true), layer.Switch)
	s.Limit(media.AnyLayer, 255, 255)
	expect(t, s, vp9(2, 0, 2, true, true, false), layer.Drop)
	expect(t, s, vp9(4, 0, 0, false, true, false), layer.Forward)
	expect(t, s, vp9(6, 0, 1, true, true, false), layer.Drop)
	expect(t, s, vp9(8, 0, 0, true, true, false), layer.Forward)
	expect(t, s, vp9(10, 0, 2, false, true, false), layer.Forward)
	expect(t, s, vp9(12, 0, 1, false, true, false), layer.Forward)
}

func TestVP9SpatialLayerIsEnteredWhereItNeedsTheOneBelowOnly(t *testing.T) {
	s := layer.New()
	s.Limit(media.AnyLayer, 0, 255)
	expect(t, s, vp9(0, 0, 0, true, false, true), layer.Switch)
	expect(t, s, vp9(1, 1, 0, true, false, false), layer.Drop)
	s.Limit(media.AnyLayer, 255, 255)
	wants(t, s, 0, true)
	expect(t, s, vp9(2, 0, 0, true, true, false), layer.Forward)
	expect(t, s, vp9(3, 1, 0, true, true, false), layer.Drop) // P: it needs its own past
	expect(t, s, vp9(4, 0, 0, true, true, false), layer.Forward)
	expect(t, s, vp9(5, 1, 0, true, false, false), layer.Forward)
	wants(t, s, media.AnyLayer, false)
	expect(t, s, vp9(7, 1, 0, true, true, false), layer.Forward)
}

// The rest of an upper frame came before its beginning, and was dropped: it is not entered there.
func TestVP9SpatialLayerIsNotEnteredByHalfAFrame(t *testing.T) {
	s := layer.New()
	s.Limit(media.AnyLayer, 0, 255)
	expect(t, s, vp9(0, 0, 0, true, false, true), layer.Switch)
	s.Limit(media.AnyLayer, 255, 255)
	expect(t, s, vp9(2, 0, 0, true, true, false), layer.Forward)
	begin, rest := vp9(3, 1, 0, true, false, false), vp9(3, 1, 0, true, false, false)
	begin.Payload[0] &^= 4 // E
	rest.Payload[0] &^= 8  // B
	expect(t, s, rest, layer.Drop)
	expect(t, s, begin, layer.Drop)
}

// A packet that comes late is judged by what held at its frame.
func TestLatePacketsFollowTheirFrame(t *testing.T) {
	s := layer.New()
	expect(t, s, vp9(0, 0, 0, true, false, true), layer.Switch)
	expect(t, s, vp9(2, 0, 0, true, true, false), layer.Forward)
	s.Limit(media.AnyLayer, 0, 255)
	expect(t, s, vp9(4, 0, 0, true, true, false), layer.Forward)
	expect(t, s, vp9(3, 1, 0, true, true, false), layer.Forward)
	expect(t, s, vp9(5, 1, 0, true, true, false), layer.Drop)
}

// VP8's Y speaks of the packet's own layer, so that none is leapt over.
func TestVP8RisesOneTemporalLayerAtATime(t *testing.T) {
	s := layer.New()
	s.Limit(media.AnyLayer, 255, 0)
	expect(t, s, svc(0, 0, 0, true, false), layer.Switch)
	s.Limit(media.AnyLayer, 255, 255)
	expect(t, s, svc(2, 0, 2, false, true), layer.Drop)
	expect(t, s, svc(4, 0, 1, false, true), layer.Forward)
	expect(t, s, svc(6, 0, 2, false, false), layer.Drop)
	expect(t, s, svc(8, 0, 2, false, true), layer.Forward)
	if s.Temporal() != 2 {
		t.Errorf("up to temporal layer %d", s.Temporal())
	}
}

func TestLimitBoundsTheEncodingAndThinsTheOneThatIsLeft(t *testing.T) {
	s, f := layer.New(), feed{}
	s.Layers(three())
	expect(t, s, f.packet(full, true), layer.Switch)
	s.Limit(quarter, 255, 255)
	wants(t, s, quarter, true)
	upper := f.packet(full, false)
	upper.Temporal = 1
	expect(t, s, upper, layer.Drop)
	expect(t, s, f.packet(full, false), layer.Forward) // the picture is held
	expect(t, s, f.packet(half, true), layer.Drop)
	expect(t, s, f.packet(quarter, true), layer.Switch)
	upper = f.packet(quarter, false)
	upper.Temporal = 1
	expect(t, s, upper, layer.Forward)
	s.Limit(full, 255, 0) // the cap is of the encoding to come
	upper = f.packet(quarter, false)
	upper.Temporal = 1
	expect(t, s, upper, layer.Forward)
	c := media.AutomaticChoice()
	c.MaxHeight = 360
	s.Choose(c)
	wants(t, s, half, true)
	s.Limit(media.AnyLayer, 255, 255)
	wants(t, s, half, true)
}

// A publisher that offered three encodings and sends one; later more come.
func TestFewerEncodingsThanOffered(t *testing.T) {
	s, f := layer.New(), feed{}
	one := three()
	one[0].Active, one[2].Active = false, false
	s.Layers(one)
	s.Limit(full, 255, 255)
	wants(t, s, quarter, true)
	expect(t, s, f.packet(quarter, true), layer.Switch)
	wants(t, s, media.AnyLayer, false)
	s.Layers(three())
	wants(t, s, full, true)
	expect(t, s, f.packet(full, true), layer.Switch)
}
