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

// vp8Key is the beginning of a VP8 key frame of 640×360 (RFC 6386 section 9.1).
var vp8Key = []byte{0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01}

func TestVP8(t *testing.T) {
	key := codec.Info{Start: true, Begins: true, SwitchUp: true, Width: 640, Height: 360}
	table(t, media.VP8, []row{
		{"key frame without extension", append([]byte{0x10}, vp8Key...), key, nil},
		{"key frame with everything", append([]byte{0x90, 0xf0, 0x80, 0x11, 0x07, 0x00}, vp8Key...), key, nil},
		{"key frame cut before its size", append([]byte{0x10}, vp8Key[:4]...), codec.Info{Start: true, Begins: true, SwitchUp: true}, nil},
		{"scaled key frame", append([]byte{0x10}, 0x10, 2, 0, 0x9d, 1, 0x2a, 0x80, 0x42, 0x68, 0x81), key, nil},
		{"second packet", []byte{0x00, 0x10}, codec.Info{SwitchUp: true}, nil},
		{"second partition", []byte{0x11, 0x10}, codec.Info{SwitchUp: true}, nil},
		{"delta frame", []byte{0x10, 0x11}, codec.Info{Begins: true, SwitchUp: true}, nil},
		{"temporal layer 2", []byte{0x90, 0x20, 0x80, 0x11}, codec.Info{Begins: true, Temporal: 2}, nil},
		{"temporal layer 2 with sync", []byte{0x90, 0x20, 0xa0, 0x11}, codec.Info{Begins: true, Temporal: 2, SwitchUp: true}, nil},
		{"key index is no temporal layer", []byte{0x90, 0x10, 0xc5, 0x11}, codec.Info{Begins: true, SwitchUp: true}, nil},
		{"no extension byte", []byte{0x90}, codec.Info{}, codec.ErrShort},
		{"no picture id", []byte{0x90, 0x80}, codec.Info{}, codec.ErrShort},
		{"half a picture id", []byte{0x90, 0x80, 0x80}, codec.Info{}, codec.ErrShort},
		{"no TL0PICIDX", []byte{0x90, 0x40}, codec.Info{}, codec.ErrShort},
		{"no TID", []byte{0x90, 0x20}, codec.Info{}, codec.ErrShort},
		{"no frame", []byte{0x10}, codec.Info{}, codec.ErrShort},
		{"empty", nil, codec.Info{}, codec.ErrEmpty},
	})
}

// A descriptor without a temporal layer has no such number, whatever stands in
// the byte that it shares with the key index.
func TestVP8KeyIndexIsNoTemporalLayer(t *testing.T) {
	d, err := codec.ParseVP8([]byte{0x80, 0x10, 0xff, 0})
	if err != nil || d.HasTemporal || d.Temporal != 0 || d.Sync || d.KeyIdx != 31 {
		t.Errorf("%+v, %v", d, err)
	}
	d, err = codec.ParseVP8([]byte{0x80, 0x20, 0xff, 0})
	if err != nil || d.HasKeyIdx || d.KeyIdx != 0 || d.Temporal != 3 || !d.Sync {
		t.Errorf("%+v, %v", d, err)
	}
}

func drawVP8(t *rapid.T) codec.VP8 {
	flag := func(name string) bool { return rapid.Bool().Draw(t, name) }
	d := codec.VP8{NonReference: flag("N"), PartStart: flag("S"), Partition: rapid.Uint8Range(0, 7).Draw(t, "PID"), Size: 1}
	if flag("X") {
		d.Size = 2
		if d.HasPictureID = flag("I"); d.HasPictureID {
			d.LongID = flag("M")
			d.PictureID = rapid.Uint16Range(0, 127).Draw(t, "id")
			d.Size++
			if d.LongID {
				d.PictureID = rapid.Uint16Range(0, 32767).Draw(t, "id15")
				d.Size++
			}
		}
		if d.HasTL0 = flag("L"); d.HasTL0 {
			d.TL0 = rapid.Uint8().Draw(t, "tl0")
			d.Size++
		}
		d.HasTemporal, d.HasKeyIdx = flag("T"), flag("K")
		if d.HasTemporal {
			d.Temporal, d.Sync = rapid.Uint8Range(0, 3).Draw(t, "tid"), flag("Y")
		}
		if d.HasKeyIdx {
			d.KeyIdx = rapid.Uint8Range(0, 31).Draw(t, "keyidx")
		}
		if d.HasTemporal || d.HasKeyIdx {
			d.Size++
		}
	}
	return d
}

// bit returns v if set.
func bit(set bool, v byte) byte {
	if set {
		return v
	}
	return 0
}

// writeVP8 is the parser's mirror image, after RFC 7741 figure 2.
func writeVP8(d codec.VP8) []byte {
	out := []byte{bit(d.Size > 1, 0x80) | bit(d.NonReference, 0x20) | bit(d.PartStart, 0x10) | d.Partition}
	if d.Size == 1 {
		return out
	}
	out = append(out, bit(d.HasPictureID, 0x80)|bit(d.HasTL0, 0x40)|bit(d.HasTemporal, 0x20)|bit(d.HasKeyIdx, 0x10))
	switch {
	case d.LongID:
		out = append(out, 0x80|byte(d.PictureID>>8), byte(d.PictureID))
	case d.HasPictureID:
		out = append(out, byte(d.PictureID))
	}
	if d.HasTL0 {
		out = append(out, d.TL0)
	}
	if d.HasTemporal || d.HasKeyIdx {
		out = append(out, d.Temporal<<6|bit(d.Sync, 0x20)|d.KeyIdx)
	}
	return out
}

func TestVP8ReadsWhatIsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawVP8(t)
		payload := append(writeVP8(want), 0x11, 0x22)
		got, err := codec.ParseVP8(payload)
		if err != nil || got != want {
			t.Fatalf("% x:\n got %+v, %v\nwant %+v", payload, got, err, want)
		}
		var peer codecs.VP8Packet // another author's reading of the RFC
		if _, err := peer.Unmarshal(payload); err != nil || peer.PictureID != got.PictureID || peer.TID != got.Temporal || peer.TL0PICIDX != got.TL0 || peer.KEYIDX != got.KeyIdx {
			t.Fatalf("% x: pion reads %+v, %v", payload, peer, err)
		}
		for n := range want.Size {
			if _, err := codec.ParseVP8(payload[:n]); err == nil {
				t.Fatalf("% x: took %d bytes of a descriptor of %d", payload, n, want.Size)
			}
		}
	})
}

// A patch changes the three numbers, cut to their width, and not one bit else.
func TestVP8Patch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawVP8(t)
		payload := append(writeVP8(want), rapid.SliceOf(rapid.Byte()).Draw(t, "frame")...)
		d, err := codec.ParseVP8(payload)
		if err != nil {
			t.Fatal(err)
		}
		id, tl0, key := rapid.Uint16().Draw(t, "new id"), rapid.Uint8().Draw(t, "new tl0"), rapid.Uint8().Draw(t, "new key")
		out := slices.Clone(payload)
		d.Patch(out, id, tl0, key)
		if want.HasPictureID {
			want.PictureID = id & 0x7f
			if want.LongID {
				want.PictureID = id & 0x7fff
			}
		}
		if want.HasTL0 {
			want.TL0 = tl0
		}
		if want.HasKeyIdx {
			want.KeyIdx = key & 0x1f
		}
		if expect := append(writeVP8(want), payload[d.Size:]...); !bytes.Equal(out, expect) {
			t.Fatalf("% x became % x, want % x", payload, out, expect)
		}
	})
}

func TestVP8PatchDoesNotAllocate(t *testing.T) {
	payload := []byte{0x90, 0xf0, 0x80, 0x11, 0x07, 0x00, 0x10}
	d, err := codec.ParseVP8(payload)
	if err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(100, func() { d.Patch(payload, 4711, 3, 4) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func FuzzVP8(f *testing.F) {
	f.Add(append([]byte{0x90, 0xf0, 0x80, 0x11, 0x07, 0x00}, vp8Key...), uint16(5))
	f.Add([]byte{0x90, 0x80, 0x80}, uint16(0))
	f.Fuzz(func(t *testing.T, payload []byte, id uint16) {
		d, err := codec.ParseVP8(payload)
		if err != nil {
			return
		}
		if d.Size > len(payload) {
			t.Fatalf("the descriptor of %d bytes has %d", len(payload), d.Size)
		}
		out := slices.Clone(payload)
		d.Patch(out, id, uint8(id), uint8(id))
		if again, err := codec.ParseVP8(out); err != nil || again.Size != d.Size || again.Temporal != d.Temporal || again.Sync != d.Sync {
			t.Fatalf("% x became % x: %+v, %v", payload, out, again, err)
		}
		if !bytes.Equal(out[d.Size:], payload[d.Size:]) {
			t.Fatal("the frame was changed")
		}
	})
}
