package s3test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-live/sluice/internal/blob"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
	"github.com/sluice-live/sluice/recorder/upload"
)

// uploads brings a recording of 24 MB to the store, and reads it from there.
func uploads(t *testing.T, s blob.Store) {
	r := upload.Recording{Stream: "show", Incarnation: "0000001aaaaaaaaa", Dir: filepath.Join(t.TempDir(), "a")}
	stored := make(chan *journal.Manifest, 1)
	u, err := upload.New(upload.Config{Blobs: s, Done: func(_ context.Context, _ upload.Recording, m *journal.Manifest) error {
		stored <- m
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- u.Run(ctx) }() // ends below
	j, err := journal.Create(r.Dir, journal.Start{
		Stream: r.Stream, Incarnation: r.Incarnation, Start: time.Now().UTC(), TargetDuration: 6 * time.Second, PartTarget: 500 * time.Millisecond,
	}, journal.Config{Segments: 3, Finished: func(v journal.Volume) { u.Finished(r, v) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.AddRendition(&media.Rendition{ID: "video-h", Kind: media.VideoRendition, Codec: "avc1.42c01f", Timescale: 90000}); err != nil {
		t.Fatal(err)
	}
	if _, err := j.AddInit("video-h", media.Init{Data: []byte("init")}); err != nil {
		t.Fatal(err)
	}
	for msn := range uint64(6) {
		p := journal.Part{MSN: msn, Start: media.Ticks(msn) * 90000, Duration: 90000, Independent: true}
		if _, err := j.Append("video-h", p, bytes.Repeat([]byte{byte(msn)}, 4<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.End(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := j.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	u.Ended(r)
	select {
	case <-stored:
	case <-time.After(60 * time.Second):
		t.Fatal("after a minute it is not in the store")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(r.Dir); err != nil {
		t.Fatal(err)
	}
	m, err := upload.LoadManifest(t.Context(), s, r.Prefix())
	if err != nil {
		t.Fatal(err)
	}
	if !m.Report.Complete || len(m.Report.Renditions[0].Volumes) != 2 {
		t.Errorf("report: %+v", m.Report)
	}
	for _, g := range m.Presentation.Rendition("video-h").Segments {
		f, err := upload.Open(t.Context(), s, r, "video-h", g.Extent)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(f)
		_ = f.Close()
		if err != nil || !bytes.Equal(b, bytes.Repeat([]byte{byte(g.MSN)}, 4<<20)) {
			t.Errorf("segment %d: %d bytes, %v", g.MSN, len(b), err)
		}
	}
}
