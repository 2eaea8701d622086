//go:build integration || soak

package journal_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
)

// childDir is the environment variable that makes the test binary the child.
const childDir = "JOURNAL_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child records into dir, going on where a life before was ended, and says each
// part when it may be announced.
func child(dir string) error {
	j, next, err := resume(dir)
	if err != nil {
		return err
	}
	go func() { // ends with the process
		if err := j.Run(context.Background()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}()
	pace := time.NewTicker(time.Millisecond)
	defer pace.Stop()
	for msn := next; ; msn++ {
		for n := range partsEach {
			for _, r := range []*media.Rendition{video(), audio()} {
				if _, err := j.Append(r.ID, part(r, msn, n), payload(r.ID, msn, n)); err != nil {
					return err
				}
				if _, err := fmt.Printf("%s %d %d\n", r.ID, msn, n); err != nil {
					return err
				}
			}
			<-pace.C
		}
		for _, r := range []string{"video-h", "audio"} {
			if err := j.EndSegment(r, msn); err != nil {
				return err
			}
		}
	}
}

func resume(dir string) (*journal.Journal, uint64, error) {
	_, state, err := journal.Recover(dir)
	c := journal.Config{Segments: 5, Sync: 20 * time.Millisecond}
	if !errors.Is(err, journal.ErrEmpty) {
		if err != nil {
			return nil, 0, err
		}
		j, err := journal.Open(dir, state, c)
		// The killed one was away for two segments.
		return j, state.Next + 2, err
	}
	if err := os.RemoveAll(dir); err != nil {
		return nil, 0, err
	}
	j, err := journal.Create(dir, start(), c)
	if err != nil {
		return nil, 0, err
	}
	for _, r := range []*media.Rendition{video(), audio()} {
		if err := j.AddRendition(r); err != nil {
			return nil, 0, err
		}
		if _, err := j.AddInit(r.ID, media.Init{Codec: r.Codec, Data: []byte("init")}); err != nil {
			return nil, 0, err
		}
	}
	return j, 0, nil
}

// said is a part that a child announced.
type said struct {
	rendition string
	msn       uint64
	part      int
}

// life starts a child, kills it after a while, and returns what it announced.
func life(t *testing.T, dir string, after time.Duration) (out []said) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0])
	c.Env = append(os.Environ(), childDir+"="+dir)
	c.Stderr = os.Stderr
	pipe, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(pipe)
	var timer *time.Timer
	for lines.Scan() {
		if timer == nil { // it lives
			timer = time.AfterFunc(after, func() { _ = c.Process.Kill() })
		}
		var s said
		if _, err := fmt.Sscanf(lines.Text(), "%s %d %d", &s.rendition, &s.msn, &s.part); err == nil {
			out = append(out, s)
		}
	}
	if timer == nil {
		t.Fatalf("the child said nothing: %v", c.Wait())
	}
	_ = c.Wait() // it was killed
	return out
}

// One recording, killed again and again at any moment: of what was announced
// nothing is lost but, at most, the last part of each life, and every hole is
// listed.
func TestKilled(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a")
	var all []said
	lost, announced := 0, 0
	for round := range kills {
		out := life(t, dir, time.Duration(rand.Int64N(int64(150*time.Millisecond))))
		all = append(all, out...)
		announced += len(out)
		p, state, err := journal.Read(dir, true)
		if err != nil {
			t.Fatal(err)
		}
		listed(t, p, state)
		have := map[said]bool{}
		for _, r := range p.Renditions {
			for _, s := range r.Segments {
				for _, q := range s.Parts {
					if !q.Gap {
						have[said{r.ID, s.MSN, int(q.Start/(partTicks*media.Ticks(r.Timescale)/90000)) % partsEach}] = true
					}
				}
			}
		}
		missing := 0
		for _, s := range all {
			if !have[s] {
				missing++
			}
		}
		if missing-lost > 1 {
			t.Fatalf("life %d: %d parts are lost that were announced", round, missing-lost)
		}
		lost = missing
	}
	p, state, err := journal.Recover(dir)
	if err != nil {
		t.Fatal(err)
	}
	verify(t, dir, p)
	listed(t, p, state)
	t.Logf("%d times killed: %d of %d announced parts are lost, %d holes are listed", kills, lost, announced, len(state.Holes))
}
