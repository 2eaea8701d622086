package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

// tape writes a recording of sound, five segments of two seconds, with the third
// one missing as nothing came.
func tape(t *testing.T, dir string) {
	t.Helper()
	j, err := journal.Create(dir, journal.Start{
		Stream: "lesson", Incarnation: filepath.Base(dir), Start: time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC),
		TargetDuration: 6 * time.Second, PartTarget: 500 * time.Millisecond,
	}, journal.Config{})
	if err != nil {
		t.Fatal(err)
	}
	sound := &media.Rendition{ID: "audio", Kind: media.AudioRendition, Codec: "opus", Timescale: 48000}
	if err := j.AddRendition(sound); err != nil {
		t.Fatal(err)
	}
	if _, err := j.AddInit("audio", media.Init{Codec: "opus", Data: []byte("init")}); err != nil {
		t.Fatal(err)
	}
	for msn := range uint64(5) {
		p := journal.Part{MSN: msn, Start: media.Ticks(msn) * 96000, Duration: 96000, Independent: true}
		data := bytes.Repeat([]byte{byte(msn)}, 1000)
		if msn == 2 {
			p.Gap, p.Why, data = true, journal.NoFrames, nil
		}
		if _, err := j.Append("audio", p, data); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.End(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := j.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestRecordingsAreChecked(t *testing.T) {
	top := t.TempDir()
	dir := filepath.Join(top, "0000001aaaaaaaaa")
	tape(t, dir)
	path := journal.VolumePath(dir, "audio", 0)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[3500] ^= 1 // of segment 4: four have a thousand bytes each
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"recordings", "check", top}, terminal{&out, &errs, nil}); code != 1 {
		t.Errorf("exit code %d, %s", code, &errs)
	}
	for _, want := range []string{
		"0000001aaaaaaaaa: stream lesson, begun 2026-11-21T09:00:00Z; it has ended",
		"10s in 5 segments, 3 parts, 2.9 KiB; missing 4s",
		"from 2026-11-21 09:00:04.000 to 2026-11-21 09:00:06.000 (2s): nothing came",
		"from 2026-11-21 09:00:08.000 to 2026-11-21 09:00:10.000 (2s): the bytes on disk are not those that were written",
		"1 parts are not on disk as they were written",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, &out)
		}
	}
	out.Reset()
	run(context.Background(), []string{"recordings", "check", "--json", dir}, terminal{&out, &errs, nil})
	var r journal.Report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil || r.Complete || len(r.Renditions[0].Holes) != 2 {
		t.Errorf("%v: %s", err, &out)
	}
	if code := run(context.Background(), []string{"recordings", "check", t.TempDir()}, terminal{&out, &errs, nil}); code != 1 || !strings.Contains(errs.String(), "there is none") {
		t.Errorf("an empty folder: %d, %s", code, &errs)
	}
}
