package recorder

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/recorder/journal"
)

// broken is a recording of which nothing can be read.
type broken struct{ incarnation, why string }

// Why an asset failed, for people.
const (
	nothingLeft = "the recording's files are not there any more: its journal is empty"
	noJournal   = "the recording's journal is damaged, and nothing in it can be read; its files are left alone"
)

// endAgain is when a recording that could not be ended is looked at again.
const endAgain = time.Minute

func damagedMetric(to prometheus.Registerer) *prometheus.CounterVec {
	m := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sluice_recorder_damaged_total",
		Help: "Recordings whose files are not what was written, by what is left: some, nothing."}, []string{"left"})
	for _, left := range []string{"some", "nothing"} { // so that an alert sees the first one
		m.WithLabelValues(left)
	}
	if to != nil {
		to.MustRegister(m)
	}
	return m
}

// alarm tells of a recording of which some is damaged. What is missing stands in its
// list of gaps. It counts once, and is told again when parts are found to be lost.
func (f *Files) alarm(s *journal.State, told bool) bool {
	if s.Damaged == 0 && len(s.Nameless) == 0 || told && s.Lost == 0 {
		return told
	}
	if !told {
		f.damaged.WithLabelValues("some").Inc()
	}
	f.log.Error("recording damaged, the rest is kept", "stream", s.Start.Stream, "incarnation", s.Start.Incarnation,
		"damaged_bytes", s.Damaged, "lost_parts", s.Lost, "lost_renditions", s.Nameless)
	return true
}

// unreadable tells of a recording of which nothing can be read. Its files are left
// alone: somebody may want to look at them.
func (f *Files) unreadable(path string, record bool, err error) {
	f.damaged.WithLabelValues("nothing").Inc()
	f.log.Error("recording cannot be read, it is left alone", "folder", path, "error", err)
	if record && errors.Is(err, journal.ErrEmpty) { // else somebody may read it later
		f.lose(filepath.Base(path), noJournal)
	}
}

// maxBroken bounds what the catalogue is still to be told; the next start finds the rest.
const maxBroken = 1 << 12

// lose has the catalogue told.
func (f *Files) lose(incarnation, why string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if b := (broken{incarnation, why}); len(f.broken) < maxBroken && !slices.Contains(f.broken, b) {
		f.broken = append(f.broken, b)
	}
}

// report tells the catalogue of what is broken, until it has heard it.
func (f *Files) report() {
	f.mu.Lock()
	all := f.broken
	f.broken = nil
	f.mu.Unlock()
	if f.cfg.Assets == nil {
		return
	}
	for _, b := range all {
		ctx, cancel := context.WithTimeout(f.base, clerkTime)
		err := f.cfg.Assets.Lost(ctx, b.incarnation, b.why)
		cancel()
		if err != nil {
			f.log.Error("catalogue not told", "incarnation", b.incarnation, "error", err)
			f.lose(b.incarnation, b.why)
		}
	}
}
