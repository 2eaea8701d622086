package codec_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/pion/rtp/codecs"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
)

// The beginnings of VP9 frames (VP9 bitstream specification section 6.2).
var (
	vp9Key     = []byte{0x82, 0x49, 0x83, 0x42, 0x00, 0x27, 0xf0, 0x16, 0x70} // profile 0, 640×360
	vp9Delta   = []byte{0x86, 0x00}
	vp9Existed = []byte{0x8a}                                                       // show_existing_frame
	vp9Key3    = []byte{0xb1, 0x24, 0xc1, 0xa1, 0x0b, 0x01, 0x3f, 0x80, 0xb3, 0x80} // profile 3
)

func vp9Payload(descriptor []byte, frame []byte) []byte {
	return append(append([]byte{}, descriptor...), frame...)
}

func TestVP9(t *testing.T) {
	key := codec.Info{Start: true, Begins: true, SwitchUp: true, Width: 640, Height: 360, Profile: "Profile 0"}
	svc := codec.Info{Start: true, Begins: true, SwitchUp: true, Width: 1280, Height: 720, Profile: "Profile 0"}
	structure := []byte{0x38, 2, 0x80, 1, 0x68, 5, 0, 2, 0xd0, 2, 0x04, 0x01, 0x44, 0x01} // 2 layers, 640×360 and 1280×720, 2 pictures
	begins := codec.Info{Begins: true, SwitchUp: true}
	table(t, media.VP9, []row{
		{"key frame", vp9Payload([]byte{0x88, 0x11}, vp9Key), key, nil},
		{"key frame, 15-bit id, layers, not flexible", vp9Payload([]byte{0xa8, 0x92, 0x34, 0x00, 0x07}, vp9Key), key, nil},
		{"key frame, flexible", vp9Payload([]byte{0xb8, 0x92, 0x34, 0x00}, vp9Key), key, nil},
		{"key frame with structure", vp9Payload(append([]byte{0xaa, 0x92, 0x34, 0x00, 0x07}, structure...), vp9Key), svc, nil},
		{"its upper layer", vp9Payload([]byte{0xa8, 0x92, 0x34, 0x03, 0x07}, vp9Delta), codec.Info{Begins: true, Spatial: 1, SwitchUp: true}, nil},
		{"delta frame", vp9Payload([]byte{0xc8, 0x11}, vp9Delta), begins, nil},
		{"delta frame, flexible, three references", vp9Payload([]byte{0xf8, 0x11, 0x50, 0x03, 0x05, 0x08}, vp9Delta), codec.Info{Begins: true, Temporal: 2, SwitchUp: true}, nil},
		{"temporal layer 1 without U", vp9Payload([]byte{0xe8, 0x11, 0x20, 0x07}, vp9Delta), codec.Info{Begins: true, Temporal: 1}, nil},
		{"second packet of a key frame", []byte{0x80, 0x11, 0x82}, codec.Info{SwitchUp: true}, nil},
		{"FFmpeg's delta frame, P clear", vp9Payload([]byte{0x08}, vp9Delta), begins, nil},
		{"intra-only frame, P clear", vp9Payload([]byte{0x88, 0x11}, vp9Delta), begins, nil},
		{"shows an earlier frame", vp9Payload([]byte{0x88, 0x11}, vp9Existed), begins, nil},
		{"encrypted key frame", vp9Payload([]byte{0x88, 0x11}, []byte{0x01, 0x02}), codec.Info{Start: true, Begins: true, SwitchUp: true}, nil},
		{"key frame of profile 3", vp9Payload([]byte{0x88, 0x11}, vp9Key3), codec.Info{Start: true, Begins: true, SwitchUp: true, Width: 640, Height: 360, Profile: "Profile 3"}, nil},
		{"no picture id", []byte{0x88}, codec.Info{}, codec.ErrShort},
		{"half a picture id", []byte{0x88, 0x80}, codec.Info{}, codec.ErrShort},
		{"no layer byte", []byte{0x28}, codec.Info{}, codec.ErrShort},
		{"no TL0PICIDX", []byte{0x28, 0}, codec.Info{}, codec.ErrShort},
		{"no P_DIFF", []byte{0x58}, codec.Info{}, codec.ErrShort},
		{"no structure", []byte{0x0a}, codec.Info{}, codec.ErrShort},
		{"structure cut in the sizes", []byte{0x0a, 0x10, 1}, codec.Info{}, codec.ErrShort},
		{"structure cut in the references", []byte{0x0a, 0x08, 2, 0x0c}, codec.Info{}, codec.ErrShort},
		{"empty", nil, codec.Info{}, codec.ErrEmpty},
	})
}

// vp9Fields are what a descriptor is written from; the rest follows.
type vp9Fields struct {
	d     codec.VP9
	diffs []byte
	sizes [][2]uint16
	gof   [][]byte
	hasSS bool
}

func drawVP9(t *rapid.T) vp9Fields {
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	f := vp9Fields{hasSS: flag("V")}
	d := &f.d
	*d = codec.VP9{HasPictureID: flag("I"), Inter: flag("P"), HasLayers: flag("L"), Flexible: flag("F"), Begin: flag("B"), End: flag("E"), NonReference: flag("Z")}
	if d.HasPictureID {
		d.LongID = flag("M")
		d.PictureID = rapid.Uint16Range(0, 127).Draw(t, "id")
	}
	if d.LongID {
		d.PictureID = rapid.Uint16Range(0, 32767).Draw(t, "id15")
	}
	if d.HasLayers {
		d.Temporal, d.SwitchUp = rapid.Uint8Range(0, 7).Draw(t, "tid"), flag("U")
		// Pion refuses more than 5 spatial layers.
		d.Spatial, d.InterLayer = rapid.Uint8Range(0, 4).Draw(t, "sid"), flag("D")
		if d.HasTL0 = !d.Flexible; d.HasTL0 {
			d.TL0 = rapid.Uint8().Draw(t, "tl0")
		}
	}
	if d.Flexible && d.Inter {
		f.diffs = rapid.SliceOfN(rapid.ByteRange(1, 127), 1, 3).Draw(t, "diffs")
		d.References = uint8(len(f.diffs))
		copy(d.Diffs[:], f.diffs)
	}
	if f.hasSS {
		d.Layers = rapid.Uint8Range(1, 5).Draw(t, "layers")
		if flag("Y") {
			for range d.Layers {
				f.sizes = append(f.sizes, [2]uint16{rapid.Uint16().Draw(t, "width"), rapid.Uint16().Draw(t, "height")})
			}
		}
		if flag("G") {
			f.gof = rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 3), 0, 8).Draw(t, "pictures")
		}
	}
	return f
}

// write is the parser's mirror image, after RFC 9628 figures 3 to 5.
func (f vp9Fields) write() []byte {
	d := f.d
	out := []byte{bit(d.HasPictureID, 0x80) | bit(d.Inter, 0x40) | bit(d.HasLayers, 0x20) | bit(d.Flexible, 0x10) | bit(d.Begin, 8) | bit(d.End, 4) | bit(f.hasSS, 2) | bit(d.NonReference, 1)}
	switch {
	case d.LongID:
		out = append(out, 0x80|byte(d.PictureID>>8), byte(d.PictureID))
	case d.HasPictureID:
		out = append(out, byte(d.PictureID))
	}
	if d.HasLayers {
		out = append(out, d.Temporal<<5|bit(d.SwitchUp, 0x10)|d.Spatial<<1|bit(d.InterLayer, 1))
		if !d.Flexible {
			out = append(out, d.TL0)
		}
	}
	for n, diff := range f.diffs {
		out = append(out, diff<<1|bit(n < len(f.diffs)-1, 1))
	}
	if !f.hasSS {
		return out
	}
	out = append(out, (d.Layers-1)<<5|bit(f.sizes != nil, 0x10)|bit(f.gof != nil, 0x08))
	for _, s := range f.sizes {
		out = append(out, byte(s[0]>>8), byte(s[0]), byte(s[1]>>8), byte(s[1]))
	}
	if f.gof != nil {
		out = append(out, byte(len(f.gof)))
	}
	for _, refs := range f.gof {
		out = append(append(out, byte(len(refs))<<2), refs...)
	}
	return out
}

func TestVP9ReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawVP9(t)
		payload := f.write()
		want := f.d
		want.Size = len(payload)
		for _, s := range f.sizes {
			if int(s[0])*int(s[1]) > want.Width*want.Height {
				want.Width, want.Height = int(s[0]), int(s[1])
			}
		}
		payload = append(payload, 0x86)
		got, err := codec.ParseVP9(payload)
		if err != nil || got != want {
			t.Fatalf("% x:\n got %+v, %v\nwant %+v", payload, got, err, want)
		}
		var peer codecs.VP9Packet // another author's reading of the RFC
		if _, err := peer.Unmarshal(payload); err != nil || peer.PictureID != got.PictureID || peer.TID != got.Temporal || peer.SID != got.Spatial || peer.U != got.SwitchUp || peer.D != got.InterLayer {
			t.Fatalf("% x: pion reads %+v, %v", payload, peer, err)
		}
		for n := range want.Size {
			if _, err := codec.ParseVP9(payload[:n]); err == nil {
				t.Fatalf("% x: took %d bytes of a descriptor of %d", payload, n, want.Size)
			}
		}
	})
}

// A patch changes the two numbers, cut to their width, and not one bit else.
func TestVP9Patch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawVP9(t)
		frame := rapid.SliceOf(rapid.Byte()).Draw(t, "frame")
		payload := append(f.write(), frame...)
		d, err := codec.ParseVP9(payload)
		if err != nil {
			t.Fatal(err)
		}
		id, tl0 := rapid.Uint16().Draw(t, "new id"), rapid.Uint8().Draw(t, "new tl0")
		out := slices.Clone(payload)
		d.Patch(out, id, tl0)
		if f.d.HasPictureID {
			f.d.PictureID = id & 0x7f
			if f.d.LongID {
				f.d.PictureID = id & 0x7fff
			}
		}
		if f.d.HasTL0 {
			f.d.TL0 = tl0
		}
		if expect := append(f.write(), frame...); !bytes.Equal(out, expect) {
			t.Fatalf("% x became % x, want % x", payload, out, expect)
		}
	})
}

func TestVP9PatchDoesNotAllocate(t *testing.T) {
	payload := []byte{0xa8, 0x92, 0x34, 0x00, 0x07, 0x82}
	d, err := codec.ParseVP9(payload)
	if err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(100, func() { d.Patch(payload, 4711, 3) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func FuzzVP9(f *testing.F) {
	f.Add(vp9Payload([]byte{0xaa, 0x92, 0x34, 0x00, 0x07, 0x38, 2, 0x80, 1, 0x68, 5, 0, 2, 0xd0, 2, 0x04, 0x01, 0x44, 0x01}, vp9Key))
	f.Add([]byte{0xf8, 0x11, 0x50, 0x03, 0x05, 0x08})
	f.Fuzz(func(t *testing.T, payload []byte) {
		d, err := codec.ParseVP9(payload)
		if err != nil {
			return
		}
		if d.Size < 1 || d.Size > len(payload) {
			t.Fatalf("the descriptor of %d bytes has %d", len(payload), d.Size)
		}
		out := slices.Clone(payload)
		d.Patch(out, 4711, 7)
		again, err := codec.ParseVP9(out)
		if err != nil || again.Size != d.Size || again.Spatial != d.Spatial || again.Diffs != d.Diffs || !bytes.Equal(out[d.Size:], payload[d.Size:]) {
			t.Fatalf("% x became % x: %+v, %v", payload, out, again, err)
		}
	})
}
