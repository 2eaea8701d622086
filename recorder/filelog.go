package recorder

import (
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/journal"
	"github.com/sluice-live/sluice/recorder/upload"
)

// closeTime is how long a closing Log waits for the disk; the rest is done later.
const closeTime = 5 * time.Second

// fileLog is the Log of one incarnation on disk.
type fileLog struct {
	f           *Files
	dir         string
	stream      media.StreamID
	incarnation string
	record      bool
	j           *journal.Journal
	said        []journal.Caption // before it was resumed
	closing     chan Closing      // what to do when the journal is on disk
	done        chan struct{}
}

func (f *Files) file(dir string, stream media.StreamID, incarnation string, record bool) *fileLog {
	return &fileLog{f: f, dir: dir, stream: stream, incarnation: incarnation, record: record, closing: make(chan Closing, 1), done: make(chan struct{})}
}

func (l *fileLog) recording() upload.Recording {
	return upload.Recording{Stream: l.stream, Incarnation: l.incarnation, Dir: l.dir}
}

func (l *fileLog) config() journal.Config {
	log := l.f.log.With("stream", l.stream, "incarnation", l.incarnation)
	c := journal.Config{
		Failed:  func(err error) { log.Error("disk failed", "error", err) },
		Revived: func() { log.Info("disk works again") },
	}
	if l.record && l.f.cfg.Uploads != nil {
		c.Finished = func(v journal.Volume) { l.f.cfg.Uploads.Finished(l.recording(), v) }
	}
	return c
}

// run syncs the journal until it is closed. Files.Run waits for it.
func (l *fileLog) run(j *journal.Journal) {
	l.j = j
	l.f.live.Go(func() {
		defer close(l.done)
		err := j.Run(l.f.base)
		if err != nil {
			l.f.log.Error("recording not on disk", "incarnation", l.incarnation, "error", err)
		}
		select {
		case c := <-l.closing:
			if err != nil && c != Forgotten {
				return // the next start reads what there is, and ends it
			}
			l.closed(c)
		default: // it was stopped: it can be resumed
		}
	})
}

// closed does what is left when the journal is on disk.
func (l *fileLog) closed(c Closing) {
	switch c {
	case Ended:
		if err := l.f.seal(l.dir, l.stream); err != nil {
			l.f.log.Error("recording not closed", "incarnation", l.incarnation, "error", err)
		}
		if l.f.cfg.Uploads != nil {
			l.f.cfg.Uploads.Ended(l.recording())
		}
	case Forgotten:
		if err := os.RemoveAll(l.dir); err != nil {
			l.f.log.Error("files not deleted", "incarnation", l.incarnation, "error", err)
		}
	}
}

// Rendition describes a rendition.
func (l *fileLog) Rendition(r *media.Rendition) error { return l.j.AddRendition(r) }

// Init keeps an initialisation section.
func (l *fileLog) Init(rendition string, index int, init media.Init) error {
	i, err := l.j.AddInit(rendition, init)
	if err == nil && i != index {
		err = errors.New("keep initialisation section: its index differs")
	}
	return err
}

// Part keeps a part.
func (l *fileLog) Part(rendition string, p Part, data []byte) (media.Extent, error) {
	return l.j.Append(rendition, journal.Part{MSN: p.MSN, Number: p.Number, Init: p.Init, Start: p.Start, Duration: p.Duration,
		Independent: p.Independent, Lead: p.Lead, Gap: p.Gap, Why: reason(p.Why), Discontinuity: p.Discontinuity}, data)
}

func reason(why string) journal.Reason {
	r := journal.Unknown
	if err := r.UnmarshalText([]byte(why)); err != nil {
		return journal.Unknown
	}
	return r
}

// SegmentEnd tells that a segment is whole.
func (l *fileLog) SegmentEnd(rendition string, msn uint64) error {
	return l.j.EndSegment(rendition, msn)
}

// Hole lists what is missing.
func (l *fileLog) Hole(rendition string, from, to media.Ticks, why string) error {
	return l.j.Hole(journal.Hole{Rendition: rendition, From: from, To: to, Why: reason(why)})
}

// Caption keeps a caption.
func (l *fileLog) Caption(c journal.Caption) error { return l.j.Caption(c) }

// Captions are those of before it was resumed.
func (l *fileLog) Captions() []journal.Caption { return l.said }

// Epoch tells of another publisher session.
func (l *fileLog) Epoch(e media.Epoch, at time.Time) error { return l.j.EpochStarted(e, at) }

// Drop deletes what is out of the window; recordings keep it.
func (l *fileLog) Drop(before, removed uint64) error {
	if l.record {
		return nil
	}
	return l.j.Drop(before, removed)
}

// Read opens bytes that were kept.
func (l *fileLog) Read(ctx context.Context, rendition string, e media.Extent) (io.ReadCloser, error) {
	return l.f.read(ctx, l, rendition, e)
}

// Close ends the journal, and waits some time until it is on disk.
func (l *fileLog) Close(c Closing) error {
	l.closing <- c
	now := time.Now()
	var err error
	if c == Suspended {
		err = l.j.Close(now)
	} else {
		err = l.j.End(now)
	}
	timer := time.NewTimer(closeTime)
	defer timer.Stop()
	select {
	case <-l.done:
	case <-timer.C:
		err = errors.Join(err, errors.New("the disk has not taken all of it yet"))
	}
	return err
}
