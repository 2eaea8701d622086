package claims_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/internal/claims"
	"github.com/sluice-live/sluice/media"
)

func open(t testing.TB, dir string) *claims.Claims {
	t.Helper()
	c, err := claims.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func claim(t testing.TB, c *claims.Claims, id media.StreamID) media.Epoch {
	t.Helper()
	e, err := c.Claim(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEpochsBeginAtOneAndRise(t *testing.T) {
	c := open(t, t.TempDir())
	for want := media.Epoch(1); want <= 2500; want++ { // over two blocks
		if got := claim(t, c, "live"); got != want {
			t.Fatalf("got %d, want %d", got, want)
		}
		c.Release("live", want)
	}
}

// For any order of claims, restarts and crashes, epochs rise strictly.
func TestEpochsRiseAcrossRestarts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "claims")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		c, last := open(t, dir), media.Epoch(0)
		for range rapid.IntRange(1, 6).Draw(rt, "lives") {
			for range rapid.IntRange(0, 1200).Draw(rt, "claims") {
				id := rapid.SampledFrom([]media.StreamID{"a", "b", "c"}).Draw(rt, "stream")
				got, err := c.Claim(context.Background(), id)
				if err != nil {
					rt.Fatal(err)
				}
				if got <= last {
					rt.Fatalf("%d after %d", got, last)
				}
				last = got
			}
			// There is no Close: every end is a crash, and sometimes one in the
			// middle of a reservation.
			if rapid.Bool().Draw(rt, "torn") {
				if err := os.WriteFile(filepath.Join(dir, "epochs.new"), []byte("torn"), 0o600); err != nil {
					rt.Fatal(err)
				}
			}
			c = open(t, dir)
		}
	})
}

func TestConcurrentClaimsAreDistinct(t *testing.T) {
	c := open(t, t.TempDir())
	var mu sync.Mutex
	seen := map[media.Epoch]bool{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 400 {
				e, err := c.Claim(context.Background(), "live")
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				if seen[e] {
					t.Errorf("%d was given out twice", e)
				}
				seen[e] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if len(seen) != 3200 {
		t.Errorf("%d epochs", len(seen))
	}
}

func TestDamagedFileIsAnError(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "short": "123", "zeros": strings.Repeat("\x00", 11) + "\x01", "long": strings.Repeat("x", 13)} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "epochs"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := claims.Open(dir); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestFullDiskGivesNoEpochAndLosesNone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	c := open(t, dir) // the directory is not there: nothing can be written
	if e, err := c.Claim(t.Context(), "live"); err == nil {
		t.Fatalf("got epoch %d from a disk that takes nothing", e)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := claim(t, c, "live"); got != 1 {
		t.Errorf("got %d", got)
	}
}

func TestClaimEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := open(t, t.TempDir())
	if _, err := c.Claim(ctx, "live"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// child is set for the process that TestEpochsRiseAfterKill9 kills.
const child = "CLAIMS_TEST_DIR"

func TestEpochsRiseAfterKill9(t *testing.T) {
	if dir := os.Getenv(child); dir != "" {
		claimForEver(t, dir)
	}
	dir, last := t.TempDir(), media.Epoch(0)
	for range 4 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestEpochsRiseAfterKill9$")
		cmd.Env = append(os.Environ(), child+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < 1700 && lines.Scan(); n++ {
			got, err := strconv.ParseUint(lines.Text(), 10, 64)
			if err != nil || media.Epoch(got) <= last {
				t.Fatalf("%q after %d", lines.Text(), last)
			}
			last = media.Epoch(got)
		}
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		// What it had said before it died counts too.
		for lines.Scan() {
			if got, err := strconv.ParseUint(lines.Text(), 10, 64); err == nil && media.Epoch(got) > last {
				last = media.Epoch(got)
			}
		}
		_ = cmd.Wait() // it was killed
	}
	if last < 4*1700 {
		t.Errorf("only %d epochs were claimed", last)
	}
}

func claimForEver(t *testing.T, dir string) {
	c := open(t, dir)
	for {
		fmt.Println(claim(t, c, "live"))
	}
}

func BenchmarkClaim(b *testing.B) {
	c := open(b, b.TempDir())
	for b.Loop() {
		claim(b, c, "live")
	}
}
