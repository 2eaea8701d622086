package recorder_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
	"github.com/sluice-live/sluice/recorder/journal"
)

const shelved = "0abcdef012345678"

// spoken is what part n of a segment has in it.
func spoken(msn uint64, n int) []byte {
	return bytes.Repeat(fmt.Appendf(nil, "<%d.%d>", msn, n), 9)
}

// shelve leaves a recording as a server does that was stopped an hour ago.
func shelve(t *testing.T, dir string) {
	t.Helper()
	j, err := journal.Create(filepath.Join(dir, "recordings", shelved), journal.Start{Stream: "show", Incarnation: shelved,
		Start: time.Now().Add(-time.Hour).UTC(), TargetDuration: 6 * time.Second, PartTarget: time.Second}, journal.Config{})
	if err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(j.AddRendition(&media.Rendition{ID: "audio", Kind: media.AudioRendition, Codec: "opus", Timescale: 48000}))
	_, err = j.AddInit("audio", media.Init{Codec: "opus", Data: []byte("how to decode it")})
	must(err)
	for msn := range uint64(4) {
		for n := range 3 {
			_, err := j.Append("audio", journal.Part{MSN: msn, Number: n, Start: media.Ticks(48000 * (3*int(msn) + n)), Duration: 48000, Independent: true}, spoken(msn, n))
			must(err)
		}
		must(j.EndSegment("audio", msn))
	}
	must(j.Close(time.Now()))
	must(j.Run(context.Background()))
}

// Whatever byte of a recording's files is damaged, and wherever they end: after a start
// its asset has ended, and what is announced is what was written; or it has failed, with
// a reason. It never stays as it is, and never keeps the server from starting.
func TestADamagedRecordingEnds(t *testing.T) {
	pattern := t.TempDir()
	shelve(t, pattern)
	for _, name := range []string{journal.Name, "audio/000000.cmaf"} {
		whole, err := os.ReadFile(filepath.Join(pattern, "recordings", shelved, name))
		if err != nil {
			t.Fatal(err)
		}
		for i := range 10 { // the journal's own tests try more
			at := (len(whole) - 1) * i / 9
			flipped := bytes.Clone(whole)
			flipped[at] ^= 1 << (i % 8)
			for what, b := range map[string][]byte{"flipped": flipped, "cut": whole[:at]} {
				t.Run(fmt.Sprint(name, " ", what, " at ", at), func(t *testing.T) { endsDamaged(t, pattern, name, whole, b) })
			}
		}
	}
}

func endsDamaged(t *testing.T, pattern, name string, whole, b []byte) {
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(pattern)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "recordings", shelved, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
	lib := &library{}
	f := settled(t, dir, lib, prometheus.NewRegistry())
	heard := lib.heard()
	if len(heard) != 1 || !strings.Contains(heard[0], shelved) {
		t.Fatalf("the catalogue was told %q", heard)
	}
	if strings.HasPrefix(heard[0], "lost") {
		return
	}
	m, err := f.Manifest(context.Background(), shelved)
	if err != nil || !m.Presentation.Ended {
		t.Fatalf("it has ended: %v", err)
	}
	parts := readBack(t, f, m.Presentation)
	if name == journal.Name && len(b) < len(whole) {
		return // it ends earlier, as after a crash
	}
	if parts < 12 && len(m.Gaps) == 0 {
		t.Fatalf("%d of 12 parts are there, and no gap tells of it", parts)
	}
}

// settled opens Files, and runs them until what was interrupted has been ended.
func settled(t *testing.T, dir string, lib *library, reg prometheus.Registerer) *recorder.Files {
	t.Helper()
	f, err := recorder.OpenFiles(recorder.FilesConfig{Dir: filepath.Join(dir, "recordings"), Windows: filepath.Join(dir, "windows"),
		Grace: time.Minute, Assets: lib, Registerer: reg})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what is due is done at once, all the same
	if err := f.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return f
}

// readBack holds what segments announce against what was written.
func readBack(t *testing.T, f *recorder.Files, p *media.Presentation) (parts int) {
	for _, r := range p.Renditions {
		for _, s := range r.Segments {
			if s.Gap {
				continue
			}
			body, err := f.Read(context.Background(), p, r.ID, s.Extent)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(body)
			body.Close()
			var want []byte
			for _, part := range s.Parts {
				want = append(want, spoken(s.MSN, int(part.Start/48000)%3)...)
				parts++
			}
			if err != nil || !bytes.Equal(got, want) || string(r.Inits[s.Init].Data) != "how to decode it" {
				t.Fatalf("segment %d is not what was written: %v", s.MSN, err)
			}
		}
	}
	return parts
}

func TestDamageIsAlarmed(t *testing.T) {
	for name, harm := range map[string]func(b []byte) []byte{
		"some":    func(b []byte) []byte { b[len(b)/2] ^= 8; return b },
		"nothing": func(b []byte) []byte { return b[:len(b)/40] },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			shelve(t, dir)
			path := filepath.Join(dir, "recordings", shelved, journal.Name)
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, harm(b), 0o600); err != nil {
				t.Fatal(err)
			}
			reg, lib := prometheus.NewRegistry(), &library{refuse: 0}
			settled(t, dir, lib, reg)
			want := map[string]int{"some": 0, "nothing": 0}
			want[name] = 1
			text := fmt.Sprintf(`# HELP sluice_recorder_damaged_total Recordings whose files are not what was written, by what is left: some, nothing.
# TYPE sluice_recorder_damaged_total counter
sluice_recorder_damaged_total{left="nothing"} %d
sluice_recorder_damaged_total{left="some"} %d
`, want["nothing"], want["some"])
			if err := testutil.GatherAndCompare(reg, strings.NewReader(text), "sluice_recorder_damaged_total"); err != nil {
				t.Error(err)
			}
			if heard := lib.heard(); len(heard) != 1 || strings.HasPrefix(heard[0], "lost") != (name == "nothing") {
				t.Errorf("the catalogue was told %q", heard)
			}
		})
	}
}

// One that has ended, and is damaged before the catalogue looked at it, has failed too.
func TestAnEndedRecordingThatCannotBeReadIsLost(t *testing.T) {
	dir := t.TempDir()
	shelve(t, dir)
	lib := &library{}
	settled(t, dir, lib, prometheus.NewRegistry())
	if err := os.Truncate(filepath.Join(dir, "recordings", shelved, journal.Name), 3); err != nil {
		t.Fatal(err)
	}
	f, err := recorder.OpenFiles(recorder.FilesConfig{Dir: filepath.Join(dir, "recordings"), Windows: filepath.Join(dir, "windows"), Assets: lib})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Manifest(context.Background(), shelved); !errors.Is(err, media.ErrNotFound) {
		t.Fatalf("a journal of three bytes: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if heard := lib.heard(); len(heard) != 2 || !strings.HasPrefix(heard[1], "lost "+shelved) {
		t.Errorf("the catalogue was told %q", heard)
	}
}

// A recording that cannot be read any more when it is to be ended has failed.
func TestWhatVanishesBeforeItIsEndedIsLost(t *testing.T) {
	dir := t.TempDir()
	shelve(t, dir)
	path := filepath.Join(dir, "recordings", shelved, journal.Name)
	lib := &library{}
	f, err := recorder.OpenFiles(recorder.FilesConfig{Dir: filepath.Join(dir, "recordings"), Windows: filepath.Join(dir, "windows"),
		Grace: time.Minute, Assets: lib})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".away"); err != nil { // since the start it cannot be read any more
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if heard := lib.heard(); len(heard) != 1 || !strings.HasPrefix(heard[0], "lost "+shelved) {
		t.Errorf("the catalogue was told %q", heard)
	}
}
