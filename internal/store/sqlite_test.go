package store_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/internal/store"
	"github.com/sluice-live/sluice/media"
)

func sqlite(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSQLite(t *testing.T) {
	conform(t, func(t *testing.T) *store.Store {
		return sqlite(t, filepath.Join(t.TempDir(), "a name? with%20signs#.db"))
	})
}

func TestOpenTwiceKeepsRows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sluice.db")
	save(t, sqlite(t, path), full("a"))
	if _, err := sqlite(t, "sqlite://"+path).Asset(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, at := range []string{"", "mysql://x", filepath.Join(t.TempDir(), "no", "such", "folder", "x.db")} {
		if s, err := store.Open(t.Context(), at); err == nil {
			s.Close()
			t.Errorf("%q was opened", at)
		}
	}
	_, err := store.Open(t.Context(), "postgres://u:geheim@127.0.0.1:1/x?connect_timeout=1")
	if err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("%v", err)
	}
}

// A process that is killed while it writes loses nothing that it has acknowledged.
func TestKilledWriterLosesNothingAcknowledged(t *testing.T) {
	if path := os.Getenv("STORE_TEST_WRITE"); path != "" {
		writeUntilKilled(t, path)
		return
	}
	path := filepath.Join(t.TempDir(), "sluice.db")
	for round := range 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestKilledWriterLosesNothingAcknowledged$")
		cmd.Env = append(os.Environ(), "STORE_TEST_WRITE="+path, fmt.Sprint("STORE_TEST_ROUND=", round))
		out := &bytes.Buffer{}
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 4096)
		for bytes.Count(out.Bytes(), []byte("\n")) < 20*(round+1) {
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
		s := sqlite(t, path)
		lines := strings.Split(out.String(), "\n")
		for _, id := range lines[:len(lines)-1] {
			if _, err := s.Asset(t.Context(), id); err != nil {
				t.Error(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func writeUntilKilled(t *testing.T, path string) {
	s, err := store.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; ; i++ {
		id := fmt.Sprintf("r%s-%d", os.Getenv("STORE_TEST_ROUND"), i)
		if _, err := s.Save(context.Background(), full(id), media.AssetEvent{Asset: id, Kind: media.AssetBegan, At: time.Now()}); err != nil {
			t.Fatal(err)
		}
		fmt.Println(id)
	}
}
