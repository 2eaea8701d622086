package descriptor_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec/descriptor"
)

// captures returns the raw descriptors of each stream in testdata.
func captures(t testing.TB) map[string][][]byte {
	t.Helper()
	files, err := filepath.Glob("testdata/chromium/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no captures", err)
	}
	all := map[string][][]byte{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if field := strings.Fields(line)[3]; field != "-" {
				raw, err := hex.DecodeString(field)
				if err != nil {
					t.Fatal(err)
				}
				key := strings.TrimSuffix(filepath.Base(name), ".txt")
				all[key] = append(all[key], raw)
			}
		}
	}
	return all
}

// Each descriptor that Chromium sent is read, and written again bit by bit.
func TestChromiumsDescriptors(t *testing.T) {
	for name, raws := range captures(t) {
		var s descriptor.Structure
		structures := 0
		for n, raw := range raws {
			var f descriptor.Frame
			if err := s.Read(raw, &f); err != nil {
				t.Fatalf("%s %d % x: %v", name, n, raw, err)
			}
			if f.HasStructure {
				structures++
			}
			if got := s.Append(nil, &f); !bytes.Equal(got, raw) {
				t.Fatalf("%s %d:\n read % x\nwrote % x", name, n, raw, got)
			}
		}
		if structures < 2 {
			t.Errorf("%s: %d structures", name, structures)
		}
	}
}

// What the scalability modes mean (W3C WebRTC-SVC section 6) is found in the structures.
func TestChromiumsStructures(t *testing.T) {
	for name, want := range map[string]struct {
		targets, chains, spatials int
		top                       descriptor.Resolution
	}{
		"av1-l1t3":    {3, 1, 1, descriptor.Resolution{Width: 640, Height: 360}},
		"av1-l3t3":    {9, 3, 3, descriptor.Resolution{Width: 1280, Height: 720}},
		"av1-l3t3key": {9, 3, 3, descriptor.Resolution{Width: 1280, Height: 720}},
		"vp9-l3t3key": {9, 3, 3, descriptor.Resolution{Width: 1280, Height: 720}},
	} {
		var s descriptor.Structure
		var f descriptor.Frame
		if err := s.Read(captures(t)[name][0], &f); err != nil {
			t.Fatal(err)
		}
		if int(s.Targets) != want.targets || int(s.Chains) != want.chains || s.Spatials() != want.spatials {
			t.Errorf("%s: %d targets, %d chains, %d spatial layers", name, s.Targets, s.Chains, s.Spatials())
		}
		if !s.HasSizes || s.Sizes[want.spatials-1] != want.top || !f.Key() || !f.Start {
			t.Errorf("%s: sizes %v, frame %+v", name, s.Sizes[:want.spatials], f)
		}
		for i := range want.targets { // from the lowest to the highest, three temporal layers each
			if l := s.Layers[i]; int(l.Spatial) != i/3 || int(l.Temporal) != i%3 {
				t.Errorf("%s: target %d has layers %+v", name, i, l)
			}
		}
		if s.Within(0, 1) != 0b11 || s.Within(255, 255) != s.All() {
			t.Errorf("%s: targets within (0,1) are %b", name, s.Within(0, 1))
		}
	}
}

// drawStructure makes any structure that can be written.
func drawStructure(t *rapid.T) *descriptor.Structure {
	s := &descriptor.Structure{
		First: rapid.Uint8Range(0, 63).Draw(t, "first"), Targets: rapid.Uint8Range(1, 32).Draw(t, "targets"),
		Count: rapid.Uint8Range(1, 64).Draw(t, "templates"), HasSizes: rapid.Bool().Draw(t, "sizes"),
	}
	s.Chains = rapid.Uint8Range(0, s.Targets).Draw(t, "chains")
	mask := descriptor.Indications(1<<(2*s.Targets)) - 1
	for i := range s.Protects[:s.Targets] {
		if s.Chains > 0 {
			s.Protects[i] = rapid.Uint8Range(0, s.Chains-1).Draw(t, "protects")
		}
	}
	for i := range s.Templates[:s.Count] {
		m := &s.Templates[i]
		if i > 0 {
			m.Spatial, m.Temporal = s.Templates[i-1].Spatial, s.Templates[i-1].Temporal
			switch step := rapid.IntRange(0, 2).Draw(t, "next"); {
			case step == 1:
				m.Temporal++
			case step == 2 && m.Spatial < 7:
				m.Spatial, m.Temporal = m.Spatial+1, 0
			}
		}
		m.Indications = descriptor.Indications(rapid.Uint64().Draw(t, "dti")) & mask
		m.Diffs = drawDiffs(t, 16)
		for c := range m.Chains[:s.Chains] {
			m.Chains[c] = rapid.Uint8Range(0, 15).Draw(t, "chain")
		}
	}
	for i := range s.Targets {
		for _, m := range s.Templates[:s.Count] {
			if m.Indications.Of(int(i)) != descriptor.NotPresent {
				s.Layers[i].Spatial = max(s.Layers[i].Spatial, m.Spatial)
				s.Layers[i].Temporal = max(s.Layers[i].Temporal, m.Temporal)
			}
		}
	}
	if s.HasSizes {
		for i := range s.Spatials() {
			s.Sizes[i] = descriptor.Resolution{Width: rapid.IntRange(1, 65536).Draw(t, "w"), Height: rapid.IntRange(1, 65536).Draw(t, "h")}
		}
	}
	return s
}

func drawDiffs(t *rapid.T, most uint16) (d descriptor.Diffs) {
	d.N = rapid.Uint8Range(0, descriptor.MaxDiffs).Draw(t, "references")
	for i := range d.By[:d.N] {
		d.By[i] = rapid.Uint16Range(1, most).Draw(t, "by")
	}
	return d
}

// drawFrame makes any frame of s.
func drawFrame(t *rapid.T, s *descriptor.Structure) descriptor.Frame {
	i := rapid.Uint8Range(0, s.Count-1).Draw(t, "template")
	m := s.Templates[i]
	f := descriptor.Frame{
		Start: rapid.Bool().Draw(t, "start"), End: rapid.Bool().Draw(t, "end"), Template: (s.First + i) & 63,
		Number: rapid.Uint16().Draw(t, "number"), HasStructure: rapid.Bool().Draw(t, "structure"),
		HasActive:      rapid.Bool().Draw(t, "active"),
		OwnIndications: rapid.Bool().Draw(t, "own dtis"), OwnDiffs: rapid.Bool().Draw(t, "own fdiffs"), OwnChains: rapid.Bool().Draw(t, "own chains"),
		Spatial: m.Spatial, Temporal: m.Temporal, Indications: m.Indications, Diffs: m.Diffs, Chains: m.Chains,
	}
	if f.HasActive {
		f.Active = rapid.Uint32().Draw(t, "set") & s.All()
	}
	if f.OwnIndications {
		f.Indications = descriptor.Indications(rapid.Uint64().Draw(t, "dtis")) & (descriptor.Indications(1<<(2*s.Targets)) - 1)
	}
	if f.OwnDiffs {
		f.Diffs = drawDiffs(t, 4096)
	}
	if f.OwnChains {
		for c := range f.Chains[:s.Chains] {
			f.Chains[c] = rapid.Uint8().Draw(t, "own chain")
		}
	}
	return f
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStructure(t)
		f := drawFrame(t, s)
		raw := s.Append(nil, &f)
		var known descriptor.Structure
		if !f.HasStructure {
			known = *s
		}
		var got descriptor.Frame
		if err := known.Read(raw, &got); err != nil {
			t.Fatalf("% x: %v", raw, err)
		}
		if got != f {
			t.Fatalf("% x:\n got %+v\nwant %+v", raw, got, f)
		}
		if known != *s {
			t.Fatalf("% x: another structure came out", raw)
		}
		for n := range raw {
			known := *s
			if err := known.Read(raw[:n], &got); err == nil && n != 3 {
				t.Fatalf("% x: took %d bytes of %d", raw, n, len(raw))
			}
		}
	})
}

// A rewritten descriptor says the same but for the two numbers, and takes away what the publisher took away.
func TestRewriteChangesTwoNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStructure(t)
		f := drawFrame(t, s)
		raw := s.Append(nil, &f)
		number, active := rapid.Uint16().Draw(t, "new number"), rapid.Uint32().Draw(t, "new set")&s.All()
		want := f
		want.Number = number
		var got descriptor.Frame
		known := *s
		if err := known.Read(descriptor.Rewrite(nil, raw, number, active, 0), &got); err != nil || got != want {
			t.Fatalf("% x: %v\n got %+v\nwant %+v", raw, err, got, want)
		}
		want.HasActive, want.Active = true, active
		if f.HasActive {
			want.Active &= f.Active
		}
		out := descriptor.Rewrite([]byte{1, 2}, raw, number, active, s.Targets)
		if err := known.Read(out[2:], &got); err != nil || got != want {
			t.Fatalf("% x became % x: %v\n got %+v\nwant %+v", raw, out, err, got, want)
		}
		if len(out) > 2+len(raw)+5 {
			t.Fatalf("it grew by %d bytes", len(out)-2-len(raw))
		}
	})
}

// Who joins where no structure comes is given the one that holds.
func TestAttachHandsTheStructureOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStructure(t)
		f := drawFrame(t, s)
		raw := s.Append(nil, &f)
		var joiner descriptor.Structure
		var got descriptor.Frame
		if err := joiner.Read(descriptor.Attach(nil, raw, s), &got); err != nil {
			t.Fatal(err)
		}
		want := f
		want.HasStructure = true
		if got != want || joiner != *s {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestSourceTellsPacketsTheirLayers(t *testing.T) {
	raws := captures(t)["av1-l3t3key"]
	var s descriptor.Source
	delta := &media.Packet{Descriptor: raws[1], FrameStart: true}
	if s.Apply(delta) || !delta.FrameStart || s.Structure() != nil {
		t.Error("a descriptor was read without a structure")
	}
	layers := map[[2]uint8]bool{}
	for _, raw := range raws {
		p := &media.Packet{Descriptor: raw}
		if !s.Apply(p) {
			t.Fatalf("% x", raw)
		}
		layers[[2]uint8{p.Spatial, p.Temporal}] = true
		if p.FrameStart != (raw[0]&0x80 != 0) {
			t.Fatalf("% x: start %v", raw, p.FrameStart)
		}
	}
	if len(layers) < 6 {
		t.Errorf("layers %v", layers)
	}
	joiner := *s.Structure()
	var f descriptor.Frame
	if err := joiner.Read(raws[len(raws)-1], &f); err != nil {
		t.Error(err)
	}
	if known := s.Structure(); known != s.Structure() || s.Apply(&media.Packet{}) {
		t.Error("the structure is copied once, and a packet without a descriptor is left alone")
	}
}

// A decoder that starts at a key frame which came without the structure could not read what follows.
func TestAKeyFrameWithoutTheStructureIsGivenIt(t *testing.T) {
	raws := captures(t)["av1-l1t3"]
	var s descriptor.Source
	s.Apply(&media.Packet{Key: true, Descriptor: raws[0]})
	var f descriptor.Frame
	st := *s.Structure()
	if err := st.Read(raws[0], &f); err != nil || !f.HasStructure || !f.Key() {
		t.Fatalf("%+v, %v", f, err)
	}
	f.HasStructure, f.Number = false, f.Number+100
	bare := st.Append(nil, &f)
	for name, want := range map[string]bool{"key": true, "delta": false} {
		p := &media.Packet{Key: want, Descriptor: bare}
		if !s.Apply(p) || descriptor.HasStructure(p.Descriptor) != want {
			t.Errorf("%s: % x", name, p.Descriptor)
		}
		var fresh descriptor.Structure
		var got descriptor.Frame
		if err := fresh.Read(p.Descriptor, &got); want && (err != nil || got.Number != f.Number) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func TestBrokenDescriptors(t *testing.T) {
	raws := captures(t)["av1-l1t3"]
	var f descriptor.Frame
	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"empty":                 {nil, descriptor.ErrShort},
		"two bytes":             {raws[1][:2], descriptor.ErrShort},
		"no structure":          {raws[1], descriptor.ErrNoStructure},
		"cut structure":         {raws[0][:12], descriptor.ErrShort},
		"templates without end": {append([]byte{0x80, 0, 1, 0x80, 0}, make([]byte, 99)...), descriptor.ErrBounds},
	} {
		var s descriptor.Structure
		if err := s.Read(c.raw, &f); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var s descriptor.Structure
	if err := s.Read(raws[0], &f); err != nil {
		t.Fatal(err)
	}
	if err := s.Read([]byte{0x80 | 63, 0, 1}, &f); !errors.Is(err, descriptor.ErrTemplate) || !s.Known() {
		t.Errorf("an unknown template: %v", err)
	}
	if err := s.Read(raws[0][:8], &f); err == nil || s.Known() {
		t.Error("a broken structure leaves nothing known")
	}
}

func TestReadAndRewriteAllocateNothing(t *testing.T) {
	raws := captures(t)["av1-l3t3"]
	var s descriptor.Structure
	var f descriptor.Frame
	source := &descriptor.Source{}
	dst := make([]byte, 0, 256)
	p := &media.Packet{}
	for _, raw := range raws {
		p.Descriptor = raw
		if got := testing.AllocsPerRun(5, func() {
			if s.Read(raw, &f) != nil || !source.Apply(p) {
				t.Fatal("not read")
			}
			descriptor.Rewrite(dst, raw, 7, 0b111, s.Targets)
		}); got != 0 {
			t.Fatalf("% x: %v allocations", raw, got)
		}
	}
}

func BenchmarkRead(b *testing.B) {
	raws := captures(b)["av1-l3t3"]
	var s descriptor.Structure
	var f descriptor.Frame
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		_ = s.Read(raws[n%len(raws)], &f)
	}
}

// Whatever comes: no panic, and what was read is written and read again as the same.
func FuzzRead(f *testing.F) {
	for _, raws := range captures(f) {
		f.Add(raws[0], raws[1], uint16(5))
		f.Add(raws[0], raws[len(raws)/2], uint16(65535))
	}
	f.Fuzz(func(t *testing.T, first, second []byte, number uint16) {
		var s descriptor.Structure
		for _, raw := range [][]byte{first, second, second} {
			var f, again descriptor.Frame
			rng := rand.New(rand.NewPCG(uint64(number), 1))
			descriptor.Rewrite(nil, raw, number, rng.Uint32(), uint8(rng.Uint32N(40)))
			if s.Read(raw, &f) != nil {
				continue
			}
			written := s.Append(nil, &f)
			known := s
			if err := known.Read(written, &again); err != nil || again != f || known != s {
				t.Fatalf("% x was written as % x: %v\n%+v\n%+v", raw, written, err, f, again)
			}
			if f.Key() && !slices.Equal(f.Diffs.All(), nil) {
				t.Fatal("a key frame refers to others")
			}
			if _, ok := descriptor.Number(raw); !ok {
				t.Fatal("no number")
			}
		}
	})
}
