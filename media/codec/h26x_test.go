package codec_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
)

// Parameter sets of real encoders: x264 (High 1920×1080, Baseline), x265
// (Main 10).
var (
	spsHigh     = []byte{0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58}
	spsBaseline = []byte{0x67, 0x42, 0xc0, 0x28, 0xd9, 0x00, 0x78, 0x02, 0x27, 0xe5, 0x84, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc9, 0x20}
	spsMain10   = []byte{0x42, 0x01, 0x01, 0x22, 0x20, 0x00, 0x00, 0x03, 0x00, 0x90, 0x00, 0x00, 0x03, 0x00, 0x00, 0x03, 0x00, 0x78, 0xa0, 0x03, 0xc0, 0x80, 0x10, 0xe4, 0xd9, 0x66, 0x66, 0x92, 0x4c, 0xaf, 0x01, 0x01, 0x00, 0x00, 0x03, 0x00, 0x64, 0x00, 0x00, 0x0b, 0xb5, 0x08}
)

// aggregate puts units behind a header, each after its length.
func aggregate(header []byte, units ...[]byte) []byte {
	out := slices.Clone(header)
	for _, u := range units {
		out = append(append(out, byte(len(u)>>8), byte(len(u))), u...)
	}
	return out
}

type row struct {
	name    string
	payload []byte
	want    codec.Info
	err     error
}

func table(t *testing.T, c media.Codec, rows []row) {
	t.Helper()
	for _, r := range rows {
		got, err := codec.Parse(c, r.payload, false)
		if got != r.want || !errors.Is(err, r.err) {
			t.Errorf("%s:\n got %+v, %v\nwant %+v, %v", r.name, got, err, r.want, r.err)
		}
	}
}

func TestH264(t *testing.T) {
	plain := codec.Info{SwitchUp: true}
	start := codec.Info{SwitchUp: true, Start: true}
	bslice := codec.Info{SwitchUp: true, BFrame: true}
	high := codec.Info{SwitchUp: true, Start: true, Width: 1920, Height: 1080, Profile: "High"}
	fragment := codec.Info{SwitchUp: true, Start: true, Profile: "High"}
	pps, aud, sei := []byte{0x68, 0xee, 0x3c, 0x80}, []byte{0x09, 0x10}, []byte{0x06, 0x05, 0x01, 0x00, 0x80}
	idr := []byte{0x65, 0x88, 0x84}                // first_mb 0, slice_type 7 (I)
	second := []byte{0x65, 0x42, 0x00}             // first_mb 1
	p, b := []byte{0x41, 0x9a}, []byte{0x01, 0x9e} // slice types 5 and 6
	b1 := []byte{0x41, 0xa8}                       // slice type 1
	table(t, media.H264, []row{
		{"SPS", spsHigh, high, nil},
		{"baseline with constraint_set1", spsBaseline, codec.Info{SwitchUp: true, Start: true, Width: 1920, Height: 1080, Profile: "Constrained Baseline"}, nil},
		{"STAP-A of SPS and PPS", aggregate([]byte{0x18}, spsHigh, pps), high, nil},
		{"STAP-A of AUD, SEI, SPS, PPS, IDR", aggregate([]byte{0x78}, aud, sei, spsHigh, pps, idr), high, nil},
		{"FU-A that begins an SPS", append([]byte{0x7c, 0x87}, spsHigh[1:]...), fragment, nil},
		{"PPS alone", pps, plain, nil},
		{"AUD", aud, plain, nil},
		{"SEI", sei, plain, nil},
		{"first slice of an IDR", idr, start, nil},
		{"second slice of an IDR", second, plain, nil},
		{"FU-A that begins an IDR", []byte{0x7c, 0x85, 0x88, 0x84}, start, nil},
		{"FU-A that goes on with an IDR", []byte{0x7c, 0x05, 0x88, 0x84}, plain, nil},
		{"FU-A that ends an IDR", []byte{0x7c, 0x45, 0x88, 0x84}, plain, nil},
		{"P slice", p, plain, nil},
		{"B slice of a picture of B slices", b, bslice, nil},
		{"B slice of a mixed picture", b1, bslice, nil},
		{"B slice in a STAP-A", aggregate([]byte{0x18}, sei, b), bslice, nil},
		{"FU-A that begins a B slice", []byte{0x5c, 0x81, 0x9e}, bslice, nil},
		{"FU-A whose second fragment looks like a B slice", []byte{0x5c, 0x01, 0x9e}, plain, nil},
		{"broken SPS", []byte{0x67, 0x64, 0x00}, fragment, nil},
		{"empty SPS", []byte{0x67}, start, nil},
		{"slice without a header", []byte{0x65}, plain, nil},
		{"STAP-A cut in a length", aggregate([]byte{0x18}, sei)[:2], codec.Info{}, codec.ErrShort},
		{"STAP-A cut in a unit", aggregate([]byte{0x18}, spsHigh)[:12], codec.Info{}, codec.ErrShort},
		{"STAP-A with an empty unit", []byte{0x18, 0, 0}, codec.Info{}, codec.ErrShort},
		{"FU-A without its header", []byte{0x7c}, codec.Info{}, codec.ErrShort},
		{"STAP-B", []byte{0x19, 0, 0}, codec.Info{}, codec.ErrUnsupported},
		{"unit of type 0", []byte{0x00, 0, 0}, codec.Info{}, codec.ErrUnsupported},
		{"empty", nil, codec.Info{}, codec.ErrEmpty},
	})
}

func TestH264Profiles(t *testing.T) {
	for name, bytes := range map[string][2]byte{
		"Baseline": {66, 0}, "Constrained Baseline": {66, 0xe0}, "Main": {77, 0x40}, "Extended": {88, 0}, "High": {100, 0},
		"Constrained High": {100, 0x0c}, "Progressive High": {100, 0x08}, "High 10": {110, 0}, "High 4:2:2": {122, 0},
		"High 4:4:4 Predictive": {244, 0}, "CAVLC 4:4:4 Intra": {44, 0}, "": {1, 0},
	} {
		if info, _ := codec.Parse(media.H264, []byte{0x67, bytes[0], bytes[1]}, false); info.Profile != name {
			t.Errorf("%v is %q, want %q", bytes, info.Profile, name)
		}
	}
}

// The emulation prevention byte is not part of a number: 00 00 03 80 are 16
// zeros and a one, the first macroblock of a slice far down in a huge picture.
func TestH264EmulationPrevention(t *testing.T) {
	slice := func(body ...byte) bool {
		info, err := codec.Parse(media.H264, append([]byte{0x41}, body...), false)
		if err != nil {
			t.Fatal(err)
		}
		return info.BFrame
	}
	// 16 zeros, 1, 16 bits of first_mb, then 010: slice_type 1.
	if !slice(0x00, 0x00, 0x03, 0x80, 0x00, 0x20) {
		t.Error("the B slice was missed")
	}
	// The same, but slice_type 0.
	if slice(0x00, 0x00, 0x03, 0x80, 0x00, 0x40) {
		t.Error("a P slice was taken for a B slice")
	}
}

func TestH265(t *testing.T) {
	plain := codec.Info{SwitchUp: true}
	start := codec.Info{SwitchUp: true, Start: true}
	bframe := codec.Info{SwitchUp: true, BFrame: true}
	main10 := codec.Info{SwitchUp: true, Start: true, Width: 1920, Height: 1080, Profile: "Main 10", BFrame: true} // sps_max_num_reorder_pics 2
	unit := func(kind, tid byte, body ...byte) []byte { return append([]byte{kind << 1, tid + 1}, body...) }
	table(t, media.H265, []row{
		{"VPS", unit(32, 0, 1), start, nil},
		{"SPS", spsMain10, main10, nil},
		{"AP of VPS, SPS, PPS", aggregate([]byte{0x60, 1}, unit(32, 0, 1), spsMain10, unit(34, 0, 1)), main10, nil},
		{"FU that begins an SPS", append([]byte{0x62, 1, 0x80 | 33}, spsMain10[2:]...), start, nil},
		{"PPS", unit(34, 0, 1), plain, nil},
		{"SEI", unit(39, 0, 1), plain, nil},
		{"first slice of IDR_W_RADL", unit(19, 0, 0xaf), start, nil},
		{"first slice of IDR_N_LP", unit(20, 0, 0xaf), start, nil},
		{"first slice of CRA", unit(21, 0, 0xaf), start, nil},
		{"second slice of an IDR", unit(19, 0, 0x2f), plain, nil},
		{"FU that begins an IDR", []byte{0x62, 1, 0x80 | 19, 0xaf}, start, nil},
		{"FU that goes on with an IDR", []byte{0x62, 1, 19, 0xaf}, plain, nil},
		{"P slice of TRAIL_R", unit(1, 0, 0xd0), plain, nil},            // 1 1 010
		{"B slice of TRAIL_R, low delay", unit(1, 0, 0xe0), plain, nil}, // 1 1 1
		{"P slice of TRAIL_N", unit(0, 0, 0xd0), plain, nil},
		{"B slice of TRAIL_N", unit(0, 0, 0xe0), bframe, nil},
		{"B slice of TRAIL_N in a higher temporal layer", unit(0, 1, 0xe0), codec.Info{Temporal: 1}, nil},
		{"RASL", unit(8, 0, 0xd0), bframe, nil},
		{"RADL", unit(7, 0, 0x10), bframe, nil},
		{"TSA of temporal layer 2", unit(2, 2, 0xd0), codec.Info{Temporal: 2, SwitchUp: true}, nil},
		{"temporal layer 2", unit(1, 2, 0xd0), codec.Info{Temporal: 2}, nil},
		{"header only", []byte{0x02}, codec.Info{}, codec.ErrShort},
		{"FU without its header", []byte{0x62, 1}, codec.Info{}, codec.ErrShort},
		{"AP cut in a length", []byte{0x60, 1, 0}, codec.Info{}, codec.ErrShort},
		{"AP cut in a unit", []byte{0x60, 1, 0, 9, 1, 2}, codec.Info{}, codec.ErrShort},
		{"AP with a unit shorter than its header", []byte{0x60, 1, 0, 1, 1}, codec.Info{}, codec.ErrShort},
		{"PACI", []byte{50 << 1, 1, 0}, codec.Info{}, codec.ErrUnsupported},
		{"empty", nil, codec.Info{}, codec.ErrEmpty},
	})
}
