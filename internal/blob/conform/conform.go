// Package conform holds a blob store against what it promises; only tests import
// it. It is given a store that is empty, and leaves it so.
//
// It lives in a package of its own because the real S3 server that it is run
// against is heavy, and stands in a module of its own.
package conform

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sluice-live/sluice/internal/blob"
)

// Kind says what may be expected of a store beyond what all have.
type Kind int

// What kinds of stores there are.
const (
	Disk Kind = iota
	Memory
	S3 // signs addresses
)

// Run runs all of it.
func Run(t *testing.T, s blob.Store, kind Kind) {
	t.Run("what is put is read", func(t *testing.T) { roundTrip(t, s) })
	t.Run("what was not whole is not there", func(t *testing.T) { truncated(t, s) })
	t.Run("what is not there", func(t *testing.T) { absent(t, s) })
	t.Run("keys that no store takes", func(t *testing.T) { badKeys(t, s) })
	t.Run("an object is replaced", func(t *testing.T) { replaced(t, s) })
	t.Run("a large object in parts", func(t *testing.T) { large(t, s) })
	t.Run("listing", func(t *testing.T) { listing(t, s) })
	t.Run("many at once", func(t *testing.T) { many(t, s) })
	t.Run("signed addresses", func(t *testing.T) { signed(t, s, kind) })
	if keys := list(t, s, ""); len(keys) > 0 {
		t.Errorf("left over: %v", keys)
	}
}

func random(seed uint64, size int) []byte {
	b := make([]byte, size)
	r := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	_, _ = r.Read(b)
	return b
}

func put(t *testing.T, s blob.Store, key string, data []byte) {
	t.Helper()
	if err := s.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Delete(context.Background(), key); err != nil {
			t.Error(err)
		}
	})
}

func get(t *testing.T, s blob.Store, key string, offset, size int64) []byte {
	t.Helper()
	r, err := s.Open(t.Context(), key, offset, size)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func list(t *testing.T, s blob.Store, prefix string) (keys []string) {
	t.Helper()
	err := s.List(t.Context(), prefix, func(key string, _ int64, _ time.Time) error {
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func roundTrip(t *testing.T, s blob.Store) {
	data := random(1, 100_000)
	put(t, s, "recordings/a/video-h/000000.cmaf", data)
	size, _, err := s.Stat(t.Context(), "recordings/a/video-h/000000.cmaf")
	if err != nil || size != int64(len(data)) {
		t.Errorf("stat: %d bytes, %v", size, err)
	}
	for _, c := range []struct{ offset, size int64 }{{0, -1}, {0, 100_000}, {10, 1}, {99_999, -1}, {50_000, 777}, {5, 0}, {99_000, 5000}} {
		want := data[c.offset:]
		if c.size >= 0 {
			want = want[:min(int(c.size), len(want))]
		}
		if got := get(t, s, "recordings/a/video-h/000000.cmaf", c.offset, c.size); !bytes.Equal(got, want) {
			t.Errorf("%d bytes from %d on: %d other ones", c.size, c.offset, len(got))
		}
	}
	put(t, s, "empty", nil)
	if got := get(t, s, "empty", 0, -1); len(got) > 0 {
		t.Errorf("the empty object has %d bytes", len(got))
	}
}

// truncated puts streams that end early, go on too long, and fail.
func truncated(t *testing.T, s blob.Store) {
	broken := errors.New("the source broke")
	for name, c := range map[string]struct {
		r    io.Reader
		size int64
	}{
		"short":  {bytes.NewReader(random(2, 1000)), 1001},
		"long":   {bytes.NewReader(random(2, 1000)), 999},
		"broken": {io.MultiReader(bytes.NewReader(random(2, 1000)), failing{broken}), 5000},
		"large":  {io.MultiReader(bytes.NewReader(random(2, 20<<20)), failing{broken}), 40 << 20},
	} {
		if err := s.Put(t.Context(), name, c.r, c.size); err == nil {
			t.Errorf("%s: it was taken", name)
		}
		if _, _, err := s.Stat(t.Context(), name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: it is there, or %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Put(ctx, "given-up", bytes.NewReader(nil), 0); err == nil {
		t.Error("a put that was given up succeeded")
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func absent(t *testing.T, s blob.Store) {
	if _, err := s.Open(t.Context(), "nothing", 0, -1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open: %v", err)
	}
	if _, _, err := s.Stat(t.Context(), "nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("stat: %v", err)
	}
	if err := s.Delete(t.Context(), "nothing"); err != nil {
		t.Errorf("delete: %v", err)
	}
}

func badKeys(t *testing.T, s blob.Store) {
	for _, key := range []string{"", "/", "a/", "/a", "a//b", "../a", "a/../b", ".hidden", "a/.b", "a b", "ä", "a\x00", "a\\b", strings.Repeat("a", 513)} {
		if err := s.Put(t.Context(), key, bytes.NewReader(nil), 0); !errors.Is(err, blob.ErrBadKey) {
			t.Errorf("put %q: %v", key, err)
		}
		if _, err := s.Open(t.Context(), key, 0, -1); !errors.Is(err, blob.ErrBadKey) {
			t.Errorf("open %q: %v", key, err)
		}
	}
}

func replaced(t *testing.T, s blob.Store) {
	put(t, s, "twice", random(3, 5000))
	second := random(4, 3000)
	put(t, s, "twice", second)
	if got := get(t, s, "twice", 0, -1); !bytes.Equal(got, second) {
		t.Error("the first one is still there")
	}
	if err := s.Put(t.Context(), "twice", bytes.NewReader(random(5, 10)), 11); err == nil {
		t.Error("a short one was taken")
	}
	if got := get(t, s, "twice", 0, -1); !bytes.Equal(got, second) {
		t.Error("a put that failed harmed what was there")
	}
}

func large(t *testing.T, s blob.Store) {
	data := random(6, 21<<20) // three parts of 8 MiB
	put(t, s, "large", data)
	if got := get(t, s, "large", 0, -1); !bytes.Equal(got, data) {
		t.Error("it differs")
	}
	if got := get(t, s, "large", 8<<20-5, 10); !bytes.Equal(got, data[8<<20-5:8<<20+5]) {
		t.Error("it differs where two parts meet")
	}
}

func listing(t *testing.T, s blob.Store) {
	var want []string
	for i := range 25 {
		key := fmt.Sprintf("list/%02d/x", i)
		put(t, s, key, random(uint64(i), i))
		want = append(want, key)
	}
	put(t, s, "lisp", nil)
	if got := list(t, s, "list/"); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if got := list(t, s, "list/1"); !slices.Equal(got, want[10:20]) {
		t.Errorf("%v", got)
	}
	stop := errors.New("enough")
	if err := s.List(t.Context(), "list/", func(string, int64, time.Time) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("a listing that was stopped says %v", err)
	}
}

func many(t *testing.T, s blob.Store) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() { // waited for below
			key, data := fmt.Sprintf("many/%d", i), random(uint64(i), 30_000)
			if err := s.Put(t.Context(), key, bytes.NewReader(data), int64(len(data))); err != nil {
				t.Error(err)
				return
			}
			r, err := s.Open(t.Context(), key, 0, -1)
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%s differs: %v", key, err)
			}
			if err := s.Delete(t.Context(), key); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func signed(t *testing.T, s blob.Store, kind Kind) {
	address, err := s.SignedURL(t.Context(), http.MethodPut, "signed", time.Minute)
	if kind != S3 {
		if !errors.Is(err, blob.ErrNoSigning) {
			t.Errorf("%v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	data := random(9, 4000)
	request(t, http.MethodPut, address, data)
	t.Cleanup(func() { _ = s.Delete(context.Background(), "signed") })
	if got := get(t, s, "signed", 0, -1); !bytes.Equal(got, data) {
		t.Error("what was put by an address differs")
	}
	if address, err = s.SignedURL(t.Context(), http.MethodGet, "signed", time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := request(t, http.MethodGet, address, nil); !bytes.Equal(got, data) {
		t.Error("what was got by an address differs")
	}
	if _, err := s.SignedURL(t.Context(), http.MethodDelete, "signed", time.Minute); !errors.Is(err, blob.ErrNoSigning) {
		t.Errorf("an address to delete: %v", err)
	}
}

func request(t *testing.T, method, address string, body []byte) []byte {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, address, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v: %s", method, answer.Status, err, b)
	}
	return b
}
