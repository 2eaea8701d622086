package cmaf_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/recorder/cmaf"
)

// samples are n of size bytes, the first one a key frame.
func samples(n, size int) []cmaf.Sample {
	out := make([]cmaf.Sample, n)
	for i := range out {
		out[i] = cmaf.Sample{Data: bytes.Repeat([]byte{byte(i + 1)}, size), Duration: 3000, Key: i == 0}
	}
	return out
}

func write(t testing.TB, p *cmaf.Part) []byte {
	t.Helper()
	b, err := cmaf.AppendPart(nil, p)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// oracle reads a part with mp4ff.
func oracle(t testing.TB, b []byte) []mp4.FullSample {
	t.Helper()
	f, err := mp4.DecodeFile(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Segments) != 1 || len(f.Segments[0].Fragments) != 1 {
		t.Fatalf("%d segments", len(f.Segments))
	}
	all, err := f.Segments[0].Fragments[0].GetFullSamples(nil)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func drawPart(t *rapid.T) *cmaf.Part {
	p := &cmaf.Part{
		Sequence: rapid.Uint32().Draw(t, "sequence"),
		Decode:   rapid.Uint64Range(0, 1<<62).Draw(t, "decode"),
		Segment:  rapid.Bool().Draw(t, "segment"),
	}
	if rapid.Bool().Draw(t, "captured") {
		p.Captured = time.Unix(1_700_000_000, 5)
	}
	if rapid.Bool().Draw(t, "event") {
		p.Events = append(p.Events, cmaf.Event{Scheme: "urn:scte:scte35:2013:bin", ID: 7, Timescale: 90000, Time: 5, Message: []byte{0xfc}})
	}
	same, offsets := rapid.Bool().Draw(t, "same"), rapid.Bool().Draw(t, "offsets")
	keys := rapid.SampledFrom([]string{"all", "first", "none", "some"}).Draw(t, "keys")
	for i := range rapid.IntRange(1, 20).Draw(t, "count") {
		s := cmaf.Sample{Data: rapid.SliceOfN(rapid.Byte(), 1, 50).Draw(t, "data"), Duration: 1500}
		if !same {
			s.Duration = rapid.Uint32Range(1, 100_000).Draw(t, "duration")
		}
		if offsets {
			s.Offset = rapid.Int32().Draw(t, "offset")
		}
		s.Key = keys == "all" || keys == "first" && i == 0 || keys == "some" && rapid.Bool().Draw(t, "key")
		p.Samples = append(p.Samples, s)
	}
	return p
}

// Whatever the samples are, another reader and our own find them as they were.
func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := drawPart(rt)
		b := write(t, p)
		own, err := cmaf.ParsePart(b)
		if err != nil {
			rt.Fatal(err)
		}
		if own.Sequence != p.Sequence || own.Decode != p.Decode || own.Segment != p.Segment || len(own.Samples) != len(p.Samples) {
			rt.Fatalf("read %+v", own)
		}
		theirs := oracle(t, b)
		if len(theirs) != len(p.Samples) {
			rt.Fatalf("mp4ff reads %d samples of %d", len(theirs), len(p.Samples))
		}
		at := p.Decode
		for i, want := range p.Samples {
			got, other := own.Samples[i], theirs[i]
			if !bytes.Equal(got.Data, want.Data) || got.Duration != want.Duration || got.Offset != want.Offset || got.Key != want.Key {
				rt.Fatalf("sample %d: read %+v, wrote %+v", i, got, want)
			}
			if !bytes.Equal(other.Data, want.Data) || other.Dur != want.Duration || other.CompositionTimeOffset != want.Offset ||
				other.DecodeTime != at || other.IsSync() != want.Key {
				rt.Fatalf("sample %d: mp4ff reads %+v, wrote %+v", i, other, want)
			}
			at += uint64(want.Duration)
		}
	})
}

func TestBoxesStandInTheOrderOfCMAF(t *testing.T) {
	p := &cmaf.Part{Samples: samples(2, 10), Segment: true, Decode: 1 << 40, Captured: time.Unix(1_700_000_000, 500_000_000),
		Events: []cmaf.Event{{Scheme: "urn:scte:scte35:2013:bin", Value: "1", ID: 9, Timescale: 90000, Time: 1 << 33, Duration: 0xffffffff, Message: []byte{1, 2, 3}}}}
	b := write(t, p)
	var kinds []string
	r := bits.NewFixedSliceReader(b)
	for at := uint64(0); at < uint64(len(b)); {
		box, err := mp4.DecodeBoxSR(at, r)
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, box.Type())
		at += box.Size()
		switch x := box.(type) {
		case *mp4.EmsgBox:
			e := p.Events[0]
			if x.Version != 1 || x.SchemeIDURI != e.Scheme || x.Value != e.Value || x.ID != e.ID || x.TimeScale != e.Timescale ||
				x.PresentationTime != e.Time || x.EventDuration != e.Duration || !bytes.Equal(x.MessageData, e.Message) {
				t.Errorf("event %+v", x)
			}
		case *mp4.PrftBox:
			if x.MediaTime != p.Decode || x.NTPTimestamp != mp4.NTP64((1_700_000_000+2_208_988_800)<<32|1<<31) {
				t.Errorf("capture time %+v", x)
			}
		case *mp4.MoofBox:
			if !x.Traf.Tfhd.DefaultBaseIfMoof() || x.Traf.Tfdt.BaseMediaDecodeTime() != p.Decode {
				t.Errorf("traf %+v", x.Traf)
			}
		}
	}
	want := []string{"styp", "prft", "emsg", "moof", "mdat"}
	if len(kinds) != len(want) {
		t.Fatalf("boxes %v", kinds)
	}
	for i := range want {
		if kinds[i] != want[i] {
			t.Errorf("boxes %v, expected %v", kinds, want)
		}
	}
}

func TestWhatCannotBeWrittenIsRefused(t *testing.T) {
	whole := func() *cmaf.Part { return &cmaf.Part{Samples: samples(3, 10)} }
	for name, c := range map[string]struct {
		spoil func(*cmaf.Part)
		want  error
	}{
		"no samples":     {func(p *cmaf.Part) { p.Samples = nil }, cmaf.ErrNoSamples},
		"too many":       {func(p *cmaf.Part) { p.Samples = make([]cmaf.Sample, cmaf.MaxSamples+1) }, cmaf.ErrNoSamples},
		"an empty one":   {func(p *cmaf.Part) { p.Samples[1].Data = nil }, cmaf.ErrSample},
		"a large one":    {func(p *cmaf.Part) { p.Samples[1].Data = make([]byte, cmaf.MaxSample+1) }, cmaf.ErrSample},
		"a timeless one": {func(p *cmaf.Part) { p.Samples[1].Duration = 0 }, cmaf.ErrSample},
		"a large event":  {func(p *cmaf.Part) { p.Events = []cmaf.Event{{Message: make([]byte, cmaf.MaxEvent+1)}} }, cmaf.ErrEvent},
		"a zero in it":   {func(p *cmaf.Part) { p.Events = []cmaf.Event{{Scheme: "a\x00b"}} }, cmaf.ErrEvent},
	} {
		p := whole()
		c.spoil(p)
		b, err := cmaf.AppendPart([]byte("before"), p)
		if !errors.Is(err, c.want) || string(b) != "before" {
			t.Errorf("%s: %v, %d bytes", name, err, len(b))
		}
	}
}

func TestWritingAllocatesNothing(t *testing.T) {
	p := &cmaf.Part{Samples: samples(15, 10_000), Segment: true, Captured: time.Unix(1_700_000_000, 0),
		Events: []cmaf.Event{{Scheme: "urn:scte:scte35:2013:bin", Message: []byte{1}}}}
	buffer := make([]byte, 0, 200_000)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := cmaf.AppendPart(buffer, p); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A file that ends anywhere is good up to the last whole part.
func TestATornTailIsCutOff(t *testing.T) {
	section, _, err := cmaf.Init(opus(2), 48000)
	if err != nil {
		t.Fatal(err)
	}
	file := append([]byte{}, section...)
	ends := []int64{0, int64(len(file))}
	for i := range 4 {
		p := &cmaf.Part{Sequence: uint32(i), Decode: uint64(i) * 9000, Samples: samples(3, 20), Segment: i%2 == 0}
		file = append(file, write(t, p)...)
		ends = append(ends, int64(len(file)))
	}
	for n := range len(file) + 1 {
		whole := 0
		for whole+1 < len(ends) && ends[whole+1] <= int64(n) {
			whole++
		}
		var chunks []cmaf.Chunk
		good, err := cmaf.Scan(bytes.NewReader(file[:n]), func(c cmaf.Chunk) error {
			chunks = append(chunks, c)
			return nil
		})
		if good != ends[whole] || len(chunks) != whole {
			t.Fatalf("%d bytes: good up to %d in %d chunks, expected %d", n, good, len(chunks), ends[whole])
		}
		if torn := ends[whole] != int64(n); torn != errors.Is(err, cmaf.ErrTorn) || !torn && err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		for i, c := range chunks {
			want := cmaf.Chunk{Offset: ends[i], Size: ends[i+1] - ends[i], Init: true}
			if i > 0 {
				k := uint64(i - 1)
				want = cmaf.Chunk{Offset: want.Offset, Size: want.Size, Segment: k%2 == 0, Sequence: uint32(k), Decode: k * 9000, Duration: 9000, Samples: 3, Key: true}
			}
			if c != want {
				t.Errorf("chunk %+v, expected %+v", c, want)
			}
		}
	}
}

func TestScanHandsErrorsOn(t *testing.T) {
	own := errors.New("enough")
	b := write(t, &cmaf.Part{Samples: samples(3, 20)})
	if good, err := cmaf.Scan(bytes.NewReader(b), func(cmaf.Chunk) error { return own }); !errors.Is(err, own) || good != 0 {
		t.Errorf("%d, %v", good, err)
	}
	broken := io.MultiReader(bytes.NewReader(b[:20]), failing{own})
	if _, err := cmaf.Scan(broken, func(cmaf.Chunk) error { return nil }); !errors.Is(err, own) || errors.Is(err, cmaf.ErrTorn) {
		t.Errorf("%v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Whatever bytes there are: no panic, and what Scan finds whole ParsePart reads.
func FuzzScan(f *testing.F) {
	p := &cmaf.Part{Samples: samples(3, 20), Segment: true, Captured: time.Unix(1_700_000_000, 0)}
	b, err := cmaf.AppendPart(nil, p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add(append(b[:len(b):len(b)], b...))
	f.Add(b[:len(b)-1])
	f.Fuzz(func(t *testing.T, b []byte) {
		good, _ := cmaf.Scan(bytes.NewReader(b), func(c cmaf.Chunk) error {
			if c.Init {
				return nil
			}
			p, err := cmaf.ParsePart(b[c.Offset : c.Offset+c.Size])
			if err != nil || len(p.Samples) != c.Samples || p.Decode != c.Decode {
				t.Fatalf("%+v: %v", c, err)
			}
			return nil
		})
		if good > int64(len(b)) {
			t.Fatalf("good up to %d of %d", good, len(b))
		}
	})
}

// 334 ms of 720p30 at 4 Mbit/s.
func BenchmarkAppendPart(b *testing.B) {
	p := &cmaf.Part{Samples: samples(10, 16_000), Segment: true}
	buffer := make([]byte, 0, 200_000)
	b.SetBytes(160_000)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := cmaf.AppendPart(buffer, p); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "parts/s")
}

// What BenchmarkAppendPart is held against.
func BenchmarkMP4FF(b *testing.B) {
	in := samples(10, 16_000)
	var out bytes.Buffer
	b.SetBytes(160_000)
	b.ReportAllocs()
	for b.Loop() {
		f, err := mp4.CreateFragment(1, 1)
		if err != nil {
			b.Fatal(err)
		}
		for _, s := range in {
			f.AddFullSample(mp4.FullSample{Sample: mp4.Sample{Flags: mp4.SyncSampleFlags, Dur: s.Duration, Size: uint32(len(s.Data))}, Data: s.Data})
		}
		out.Reset()
		if err := f.Encode(&out); err != nil {
			b.Fatal(err)
		}
	}
}
