package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluice-live/sluice/recorder/journal"
	"github.com/sluice-live/sluice/recorder/upload"
)

// recordingsCmd looks after recordings on disk.
type recordingsCmd struct {
	Check recordingsCheckCmd `cmd:"" help:"Read recordings on disk, compare every byte with its checksum, and say in words what is missing."`
}

// recordingsCheckCmd reads recordings and changes nothing.
type recordingsCheckCmd struct {
	Dir  []string `arg:"" type:"existingdir" help:"Folders of recordings, or a folder with such folders, for example data/recordings."`
	JSON bool     `help:"Print the reports as JSON, one in a line."`
}

// Run prints a report of each; something that is missing makes the exit code 1.
func (c *recordingsCheckCmd) Run(term terminal) error {
	var found []string
	for _, dir := range c.Dir {
		some, err := recordingsIn(dir)
		if err != nil {
			return fmt.Errorf("look for recordings: %w", err)
		}
		found = append(found, some...)
	}
	if len(found) == 0 {
		return fmt.Errorf("look for recordings: there is none in %s", strings.Join(c.Dir, ", "))
	}
	whole := true
	for _, dir := range found {
		p, s, err := journal.Read(dir, true)
		if err != nil {
			whole = false
			fmt.Fprintf(term.err, "sluice: %v\n", err)
			continue
		}
		uploaded, err := journal.Uploaded(dir)
		if err != nil {
			return err
		}
		r := journal.MakeReport(p, s, uploaded)
		whole = whole && r.Complete
		if c.JSON {
			if err := json.NewEncoder(term.out).Encode(r); err != nil {
				return fmt.Errorf("print the report: %w", err)
			}
			continue
		}
		tellRecording(term.out, dir, r)
	}
	if !whole {
		return errFound
	}
	return nil
}

// recordingsIn returns dir, when it is a recording, or those in it.
func recordingsIn(dir string) ([]string, error) {
	if _, err := os.Stat(filepath.Join(dir, journal.Name)); err == nil {
		return []string{dir}, nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	entries, err := os.ReadDir(dir) // sorted: by when they began
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := os.Stat(filepath.Join(path, journal.Name)); err == nil {
			out = append(out, path)
		}
	}
	return out, nil
}

// tellRecording says in words how complete a recording is.
func tellRecording(w io.Writer, dir string, r journal.Report) {
	state := "it has not ended: it is being recorded, or the server died"
	if r.Ended {
		state = "it has ended"
	}
	begun := r.Start
	for i, q := range r.Renditions { // what several nodes make together counts from 1970
		if at := r.Start.Add(q.From); i == 0 || at.Before(begun) {
			begun = at
		}
	}
	fmt.Fprintf(w, "%s: stream %s, begun %s; %s\n", r.Incarnation, r.Stream, begun.Format(time.RFC3339), state)
	for _, q := range r.Renditions {
		fmt.Fprintf(w, "  %-12s %-14s %s in %d segments, %d parts, %s; missing %s\n", q.ID, q.Codec,
			span(q.To-q.From), q.Segments, q.Parts, bytesInWords(q.Bytes), span(q.Missing))
		for _, h := range q.Holes {
			fmt.Fprintf(w, "    from %s to %s (%s): %s\n", clock(r.Start, h.Start), clock(r.Start, h.End), span(h.End-h.Start), whyMissing(h.Why))
		}
		if n := len(q.Volumes); n > 0 {
			fmt.Fprintf(w, "    %d volumes are in the blob store; what is not here any more was not read\n", n)
		}
	}
	if r.Lost > 0 {
		fmt.Fprintf(w, "  %d parts are not on disk as they were written.\n", r.Lost)
	}
	if r.Torn > 0 {
		fmt.Fprintf(w, "  %d bytes belong to nothing whole; the next start of the server cuts them off.\n", r.Torn)
	}
	if upload.Complete(dir) {
		fmt.Fprintln(w, "  All of it is in the blob store.")
	}
	if r.Complete {
		fmt.Fprintln(w, "  Nothing is missing.")
	}
}

// clock is when something was, to the millisecond.
func clock(start time.Time, d time.Duration) string {
	return start.Add(d).UTC().Format("2006-01-02 15:04:05.000")
}

func span(d time.Duration) string { return d.Round(time.Millisecond).String() }

// whyMissing says a reason in words.
func whyMissing(why string) string {
	var r journal.Reason
	if r.UnmarshalText([]byte(why)) != nil {
		return why
	}
	return [...]string{
		journal.Unknown:       "media time jumps, and nobody said why",
		journal.NoFrames:      "nothing came",
		journal.PublisherGone: "the publisher was away",
		journal.Loss:          "packets were lost",
		journal.Overflow:      "the recorder was too slow",
		journal.NoKeyFrame:    "there was no key frame to begin with",
		journal.Crash:         "the server died",
		journal.DiskFailed:    "the disk was full or broken",
		journal.Damaged:       "the bytes on disk are not those that were written",
		journal.Interrupted:   "the server was stopped and started again",
	}[r]
}

// bytesInWords is a size for people.
func bytesInWords(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d bytes", n)
	}
	size, name := float64(n)/unit, "KiB"
	for _, next := range []string{"MiB", "GiB", "TiB"} {
		if size < unit {
			break
		}
		size, name = size/unit, next
	}
	return fmt.Sprintf("%.1f %s", size, name)
}
