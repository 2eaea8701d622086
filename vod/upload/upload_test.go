package upload_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/vod/upload"
)

const partSize = 64 << 10

func config(dir string) upload.Config {
	return upload.Config{Dir: dir, MaxSize: 1 << 30, PartSize: partSize, Active: 3, URLs: time.Hour}
}

func open(t testing.TB, dir string) *upload.Store {
	t.Helper()
	s, err := upload.Open(config(dir))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func create(t testing.TB, s *upload.Store, id string, size int64) upload.Info {
	t.Helper()
	i, err := s.Create(upload.Info{ID: id, Stream: "x", Type: "video/mp4", Size: size, Created: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// content is what part n of the tests' file holds.
func content(i upload.Info, n int) []byte {
	b := make([]byte, i.PartSize(n))
	_, _ = rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)}).Read(b)
	return b
}

func TestPartsInAnyOrder(t *testing.T) {
	s := open(t, t.TempDir())
	i := create(t, s, "a", 10*partSize+17)
	if i.Parts() != 11 || i.PartSize(11) != 17 {
		t.Fatalf("%+v", i)
	}
	var wg sync.WaitGroup
	for _, n := range rand.Perm(i.Parts()) {
		wg.Go(func() {
			sum := sha256.Sum256(content(i, n+1))
			if _, err := s.Write("a", n+1, bytes.NewReader(content(i, n+1)), sum[:]); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for range 2 {
		if _, err := s.Complete("a"); err != nil {
			t.Fatal(err)
		}
	}
	check(t, s, i)
	if _, err := s.Write("a", 1, bytes.NewReader(content(i, 1)), nil); !errors.Is(err, upload.ErrTaken) {
		t.Errorf("after the end: %v", err)
	}
}

// check holds the file against what was sent.
func check(t testing.TB, s *upload.Store, i upload.Info) {
	t.Helper()
	b, err := os.ReadFile(s.Path(i.ID))
	if err != nil || int64(len(b)) != i.Size {
		t.Fatalf("%d bytes of %d, %v", len(b), i.Size, err)
	}
	for n := 1; n <= i.Parts(); n++ {
		at := int64(n-1) * i.Part
		if !bytes.Equal(b[at:at+i.PartSize(n)], content(i, n)) {
			t.Fatalf("part %d is not what was sent", n)
		}
	}
}

func TestRefusals(t *testing.T) {
	s := open(t, t.TempDir())
	i := create(t, s, "a", partSize+1)
	for want, err := range map[error]func() error{
		upload.ErrNotFound: func() error { _, err := s.Write("b", 1, nil, nil); return err },
		upload.ErrPart:     func() error { _, err := s.Write("a", 3, nil, nil); return err },
		upload.ErrSize:     func() error { _, err := s.Write("a", 2, strings.NewReader("xx"), nil); return err },
		upload.ErrChecksum: func() error { _, err := s.Write("a", 2, strings.NewReader("x"), make([]byte, 32)); return err },
		upload.ErrMissing:  func() error { _, err := s.Complete("a"); return err },
		upload.ErrTooLarge: func() error { _, err := s.Create(upload.Info{ID: "c", Size: 1<<30 + 1}); return err },
	} {
		if got := err(); !errors.Is(got, want) {
			t.Errorf("%v, want %v", got, want)
		}
	}
	create(t, s, "b", 1)
	create(t, s, "c", 1)
	if _, err := s.Create(upload.Info{ID: "d", Size: 1}); !errors.Is(err, upload.ErrBusy) {
		t.Error(err)
	}
	cfg := config(t.TempDir())
	cfg.Reserve = 1 << 60
	full, err := upload.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := full.Create(upload.Info{ID: "a", Size: 1}); !errors.Is(err, upload.ErrNoSpace) {
		t.Error(err)
	}
	// A part that is sent again damaged does not count any more: its bytes changed.
	for n := 1; n <= 2; n++ {
		if _, err := s.Write("a", n, bytes.NewReader(content(i, n)), nil); err != nil {
			t.Fatal(err)
		}
	}
	broken := io.MultiReader(strings.NewReader("x"), errReader{})
	if _, err := s.Write("a", 1, broken, nil); err == nil {
		t.Error("a broken part was taken")
	}
	again := open(t, filepath.Dir(filepath.Dir(s.Path("a"))))
	for _, s := range []*upload.Store{s, again} {
		if _, parts, _, _ := s.Upload("a"); len(parts) != 1 || parts[0].Number != 2 {
			t.Errorf("parts %v", parts)
		}
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrClosedPipe }

// A URL lets in what it was signed for, until it expires; any change of it lets in
// nothing.
func TestURLs(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	i := create(t, s, "a", 2*partSize)
	now := time.Now()
	path, expires := s.URL(i, 1, now)
	u, err := url.Parse(path)
	if err != nil || u.Path != "/v1/uploads/a/parts/1" {
		t.Fatal(path, err)
	}
	q := u.Query()
	for _, s := range []*upload.Store{s, open(t, dir)} {
		if err := s.Check(i, 1, q, expires); err != nil {
			t.Error(err)
		}
	}
	if err := s.Check(i, 1, q, expires.Add(time.Second)); !errors.Is(err, upload.ErrExpired) {
		t.Error(err)
	}
	if err := open(t, t.TempDir()).Check(i, 1, q, now); !errors.Is(err, upload.ErrSignature) {
		t.Error("another store's URL:", err)
	}
	rapid.Check(t, func(t *rapid.T) {
		other, n, changed := i, 1, url.Values{"expires": q["expires"], "signature": q["signature"]}
		switch rapid.IntRange(0, 5).Draw(t, "change") {
		case 0:
			n = rapid.IntRange(-1, 5).Filter(func(n int) bool { return n != 1 }).Draw(t, "part")
		case 1:
			other.ID = rapid.StringN(0, 20, -1).Filter(func(s string) bool { return s != "a" }).Draw(t, "id")
		case 2:
			other.Type = rapid.String().Filter(func(s string) bool { return s != i.Type }).Draw(t, "type")
		case 3:
			other.Part = rapid.Int64Range(1, 1<<40).Filter(func(n int64) bool { return n != i.Part }).Draw(t, "size")
			other.Size = 1 << 50
		case 4:
			changed.Set("expires", fmt.Sprint(expires.Unix()+rapid.Int64Range(1, 1e9).Draw(t, "later")))
		case 5:
			changed.Set("signature", rapid.String().Filter(func(s string) bool { return s != q.Get("signature") }).Draw(t, "signature"))
		}
		if err := s.Check(other, n, changed, now); !errors.Is(err, upload.ErrSignature) {
			t.Errorf("%+v, part %d, %v: %v", other, n, changed, err)
		}
	})
}

// A process that is killed at any moment loses only what it did not acknowledge,
// and what it says is there is what was sent.
func TestKilledUploadKeepsItsParts(t *testing.T) {
	if dir := os.Getenv("UPLOAD_TEST_DIR"); dir != "" {
		writeUntilKilled(t, dir)
		return
	}
	dir := t.TempDir()
	i := create(t, open(t, dir), "a", 200*partSize+5)
	acknowledged := map[int]bool{}
	for round := range 4 {
		for _, n := range killed(t, dir, 5+round*7) {
			acknowledged[n] = true
		}
		s := open(t, dir)
		_, parts, _, err := s.Upload("a")
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(s.Path("a"))
		if err != nil {
			t.Fatal(err)
		}
		there := map[int]bool{}
		for _, p := range parts {
			at := int64(p.Number-1) * i.Part
			if there[p.Number] = true; !bytes.Equal(b[at:at+p.Size], content(i, p.Number)) {
				t.Errorf("part %d is not what was sent", p.Number)
			}
		}
		for n := range acknowledged {
			if !there[n] {
				t.Errorf("round %d: part %d was acknowledged and is not there", round, n)
			}
		}
	}
	s := open(t, dir)
	for n := 1; n <= i.Parts(); n++ {
		if _, err := s.Write("a", n, bytes.NewReader(content(i, n)), nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Complete("a"); err != nil {
		t.Fatal(err)
	}
	check(t, s, i)
}

// killed runs a process that writes parts, kills it after it has acknowledged some,
// and returns which.
func killed(t *testing.T, dir string, after int) (parts []int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledUploadKeepsItsParts$")
	cmd.Env = append(os.Environ(), "UPLOAD_TEST_DIR="+dir)
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	buf := make([]byte, 256)
	for bytes.Count(out.Bytes(), []byte("\n")) < after {
		n, err := pipe.Read(buf)
		if err != nil {
			t.Fatal(err, out.String())
		}
		out.Write(buf[:n])
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = out.ReadFrom(pipe)
	_ = cmd.Wait() // it was killed
	lines := strings.Split(out.String(), "\n")
	for _, line := range lines[:len(lines)-1] {
		var n int
		if _, err := fmt.Sscan(line, &n); err != nil {
			t.Fatal(err)
		}
		parts = append(parts, n)
	}
	return parts
}

// writeUntilKilled writes the parts that are missing, as a client that goes on does.
func writeUntilKilled(t *testing.T, dir string) {
	s := open(t, dir)
	i, parts, _, err := s.Upload("a")
	if err != nil {
		t.Fatal(err)
	}
	there := map[int]bool{}
	for _, p := range parts {
		there[p.Number] = true
	}
	missing := make(chan int, i.Parts())
	for _, n := range rand.Perm(i.Parts()) {
		if !there[n+1] {
			missing <- n + 1
		}
	}
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for n := range missing {
				if _, err := s.Write("a", n, bytes.NewReader(content(i, n)), nil); err != nil {
					panic(err)
				}
				fmt.Printf("%d\n", n)
			}
		})
	}
	wg.Wait() // until it is killed
}
