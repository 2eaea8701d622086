package hlsfallback_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"github.com/sluice-live/sluice/hls-fallback/stage"
	"github.com/sluice-live/sluice/media"
)

// source is a staged presentation as a Source.
type source struct {
	mu      sync.Mutex
	s       *stage.Stage
	p       *media.Presentation
	changed chan struct{}
	wanted  map[string]int
	disk    map[media.Extent][]byte // what Read finds, by rendition and extent
	broken  bool
}

func newSource(s *stage.Stage) *source {
	return &source{s: s, p: s.Snapshot(), changed: make(chan struct{}), wanted: map[string]int{}}
}

// do changes the stage and publishes what came of it.
func (f *source) do(change func(s *stage.Stage)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f.s)
	f.p = f.s.Snapshot()
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *source) Presentation(_ context.Context, name string) (*media.Presentation, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name != string(f.p.Stream) {
		return nil, media.ErrNotFound
	}
	return f.p, nil
}

func (f *source) Changed(string, string) <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

func (f *source) Read(_ context.Context, p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken {
		return nil, errors.New("the disk is gone: /secret/path")
	}
	for of, data := range f.disk {
		if of.Volume == e.Volume && of.Offset <= e.Offset && e.Offset+e.Size <= of.Offset+of.Size {
			return io.NopCloser(bytes.NewReader(data[e.Offset-of.Offset:][:e.Size])), nil
		}
	}
	return nil, media.ErrNotFound
}

func (f *source) Want(_, rendition string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wanted[rendition]++
}

// archive moves what is in memory of one rendition to the disk.
func (f *source) archive(rendition string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.disk = map[media.Extent][]byte{}
	for _, r := range f.p.Renditions {
		if r.ID != rendition {
			continue
		}
		for i, s := range r.Segments {
			var all []byte
			for _, part := range s.Parts {
				all = append(all, part.Data...)
			}
			f.disk[s.Extent] = all
			bare := *s
			bare.Parts = nil
			r.Segments[i] = &bare
		}
	}
}
