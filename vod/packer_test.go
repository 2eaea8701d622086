package vod

import (
	"bytes"
	"context"
	"io"
	"os/exec"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod/fragment"
)

// heap is a store that notes how large what is put into it is.
type heap struct{ largest, total int64 }

func (h *heap) Put(_ context.Context, _ string, _ io.Reader, size int64) error {
	h.largest, h.total = max(h.largest, size), h.total+size
	return nil
}

func (h *heap) Open(context.Context, string, int64, int64) (io.ReadCloser, error) {
	return nil, media.ErrNotFound
}
func (h *heap) Delete(context.Context, string) error { return nil }
func (h *heap) List(context.Context, string, func(string, int64, time.Time) error) error {
	return nil
}

// A film with one key frame, as intra refresh makes them, was held in memory whole.
func TestAFilmWithoutKeyFramesIsNotHeldInMemory(t *testing.T) {
	film, err := exec.Command("ffmpeg", "-v", "error", "-f", "lavfi", "-i", "nullsrc=size=320x180:rate=25,geq=random(1)*255:128:128", "-t", "1",
		"-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "1000", "-qp", "10",
		"-movflags", "+cmaf+frag_every_frame", "-f", "mp4", "pipe:1").Output()
	if err != nil {
		t.Fatal(err)
	}
	var head, pair []byte
	from := fragment.NewReader(bytes.NewReader(film))
	for {
		kind, box, err := from.Next()
		if err != nil {
			break
		}
		switch kind {
		case "ftyp", "moov":
			head = append(head, box...)
		case "moof":
			pair = box
		case "mdat":
			pair = append(pair, box...) // in the end the last picture, which is no key frame
		}
	}
	parts := []io.Reader{bytes.NewReader(head)}
	n := 5*maxVolume/len(pair) + 1
	for range n {
		parts = append(parts, bytes.NewReader(pair))
	}
	to := &heap{}
	k := &packer{id: "video", video: true, batch: &batch{vod: &Vod{parts: Parts{Blobs: to}}, path: "x", rendition: "video"}}
	if err := k.read(t.Context(), io.MultiReader(parts...)); err != nil {
		t.Fatal(err)
	}
	if to.largest > 2*maxVolume+int64(len(pair)) || to.total != int64(n*len(pair)) {
		t.Errorf("the largest volume has %d bytes of %d", to.largest, to.total)
	}
	for _, s := range k.rendition(nil).Segments {
		if s.Extent.Size > to.largest {
			t.Errorf("a segment has %d bytes", s.Extent.Size)
		}
	}
}
