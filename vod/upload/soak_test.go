//go:build soak

package upload_test

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/sluice-live/sluice/vod/upload"
)

// A file of 5 GB, in parts of 16 MB, whose server is killed twice on the way.
func TestFiveGigabytes(t *testing.T) {
	dir := t.TempDir()
	s, err := upload.Open(upload.Config{Dir: dir, MaxSize: 5 << 30, PartSize: 16 << 20, Active: 1})
	if err != nil {
		t.Fatal(err)
	}
	i := create(t, s, "a", 5<<30-12345)
	sent := 0
	for _, n := range []int{100, 90} {
		sent += len(killed(t, dir, n))
	}
	s, err = upload.Open(upload.Config{Dir: dir, MaxSize: 5 << 30, PartSize: 16 << 20, Active: 1})
	if err != nil {
		t.Fatal(err)
	}
	_, parts, _, err := s.Upload("a")
	if err != nil || len(parts) < sent {
		t.Fatalf("%d parts of %d that were acknowledged, %v", len(parts), sent, err)
	}
	t.Logf("%d of %d parts were acknowledged, %d are there", sent, i.Parts(), len(parts))
	there := map[int]bool{}
	for _, p := range parts {
		there[p.Number] = true
	}
	for n := 1; n <= i.Parts(); n++ {
		if there[n] {
			continue
		}
		if _, err := s.Write("a", n, bytes.NewReader(content(i, n)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Complete("a"); err != nil {
		t.Fatal(err)
	}
	checkLarge(t, s, i)
}

// checkLarge holds the file against what was sent, a part at a time.
func checkLarge(t *testing.T, s *upload.Store, i upload.Info) {
	t.Helper()
	f, err := os.Open(s.Path(i.ID))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for n := 1; n <= i.Parts(); n++ {
		b := make([]byte, i.PartSize(n))
		if _, err := io.ReadFull(f, b); err != nil || !bytes.Equal(b, content(i, n)) {
			t.Fatalf("part %d is not what was sent, %v", n, err)
		}
	}
	if _, err := f.Read(make([]byte, 1)); err != io.EOF {
		t.Error("there is more than was sent")
	}
}
