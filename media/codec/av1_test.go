package codec_test

import (
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
)

func TestAV1(t *testing.T) {
	// A sequence header of libaom, 1920×1080 8 bit, and the beginnings of frames.
	sequence := []byte{0x08, 0x00, 0x00, 0x00, 0x42, 0xa7, 0xbf, 0xe4, 0x60, 0x0d, 0x00, 0x40}
	sized := append([]byte{0x0a, byte(len(sequence) - 1)}, sequence[1:]...)
	layered := append([]byte{0x0c, 0x00}, sequence[1:]...)
	key, inter, shown := []byte{0x30, 0x10, 0x00}, []byte{0x30, 0x30, 0x00}, []byte{0x18, 0x80}
	tiles, redundant, padding, metadata := []byte{0x20, 0x10}, []byte{0x38, 0x10}, []byte{0x78, 0x80}, []byte{0x28, 0x04}
	// list puts each element after its length, with W = 0.
	list := func(header byte, elements ...[]byte) []byte {
		out := []byte{header}
		for _, e := range elements {
			out = append(append(out, byte(len(e))), e...)
		}
		return out
	}
	start := codec.Info{Start: true, Begins: true, SwitchUp: true, Width: 1920, Height: 804, Profile: "Main"}
	noStart := start
	noStart.Start = false
	begins, inside := codec.Info{Begins: true, SwitchUp: true}, codec.Info{SwitchUp: true}
	table(t, media.AV1, []row{
		{"N, sequence header, key frame, W=2", append(append([]byte{0x28, byte(len(sequence))}, sequence...), key...), start, nil},
		{"N, sequence header, key frame, W=0", list(0x08, sequence, key), start, nil},
		{"N, sequence header alone", append([]byte{0x18}, sequence...), start, nil},
		{"without N, before a key frame", list(0x00, sequence, key), start, nil},
		{"without N, before a key frame that goes on", list(0x40, sequence, metadata, key), start, nil},
		{"sequence header with a size field", list(0x08, sized, key), start, nil},
		{"sequence header with an extension", list(0x08, layered, key), start, nil},
		{"sequence header repeated before a delta frame", list(0x00, sequence, inter), noStart, nil},
		{"broken sequence header", list(0x08, sequence[:2], key), codec.Info{Start: true, Begins: true, SwitchUp: true}, nil},
		{"key frame without a sequence header", list(0x00, key), begins, nil},
		{"N without a sequence header", list(0x08, key), begins, nil},
		{"delta frame", list(0x00, inter), begins, nil},
		{"shows an earlier frame", list(0x00, shown), begins, nil},
		{"metadata", list(0x00, metadata, inter), begins, nil},
		{"continued", list(0x80, key), inside, nil},
		{"continued, then a frame", list(0x80, []byte{0xff}, inter), inside, nil},
		{"tile group", list(0x00, tiles), inside, nil},
		{"redundant header", list(0x00, redundant), inside, nil},
		{"padding", list(0x00, padding), inside, nil},
		{"temporal 1, spatial 2", list(0x00, []byte{0x34, 0x30, 0x30}), codec.Info{Begins: true, Temporal: 1, Spatial: 2}, nil},
		{"empty element", []byte{0x00, 0x00}, inside, nil},
		{"header only", []byte{0x00}, codec.Info{}, codec.ErrShort},
		{"element longer than the packet", []byte{0x00, 0x05, 0x30}, codec.Info{}, codec.ErrShort},
		{"endless length", []byte{0x00, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80}, codec.Info{}, codec.ErrShort},
		{"length over 32 bits", []byte{0x00, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x30}, codec.Info{}, codec.ErrShort},
		{"extension missing", list(0x00, []byte{0x34}), codec.Info{}, codec.ErrShort},
		{"size field missing", list(0x00, []byte{0x32}), codec.Info{}, codec.ErrShort},
		{"empty", nil, codec.Info{}, codec.ErrEmpty},
	})
}
