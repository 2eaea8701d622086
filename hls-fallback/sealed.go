package hlsfallback

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/playlist"
	"github.com/sluice-live/sluice/hls-fallback/protect"
	"github.com/sluice-live/sluice/media"
)

// sealed is one segment that is encrypted, as far as somebody asked for it.
type sealed struct {
	turn  chan struct{} // one element: who has it may change what follows
	seq   *protect.Sequence
	parts [][]byte // those that are no gaps
	whole bool     // all of them are there
}

// maxSegment bounds a segment that is encrypted, in bytes: six seconds at 80 Mbit/s.
const maxSegment = 64 << 20

// parts returns a part of a segment, or with one below 0 all of them.
func (g *guard) parts(ctx context.Context, s *shown, rendition string, msn uint64, one int) ([][]byte, error) {
	r := s.open.Rendition(rendition)
	if r == nil {
		return nil, media.ErrNotFound
	}
	segment := playlist.Segment(r, msn)
	if segment == nil && r.Open != nil && r.Open.MSN == msn && one >= 0 {
		segment = r.Open
	}
	if segment == nil || segment.Gap || segment.Init < 0 || segment.Init >= len(s.tracks[rendition]) {
		return nil, media.ErrNotFound
	}
	name := place(s, rendition, msn)
	it := g.sealed(name)
	select {
	case it.turn <- struct{}{}:
		defer func() { <-it.turn }()
	case <-ctx.Done():
		return nil, errAway
	}
	fill := filling{g.Source, s, r, segment, s.tracks[rendition][segment.Init]}
	before := len(it.parts)
	if err := fill.upTo(ctx, it, one); err != nil {
		*it = sealed{turn: it.turn} // what was begun may lack a part: anew
		return nil, err
	}
	if len(it.parts) != before {
		g.keep(name, it)
	}
	switch {
	case one < 0:
		return it.parts, nil
	case one >= len(it.parts):
		return nil, media.ErrNotFound
	}
	return it.parts[one : one+1], nil
}

// sealed finds a segment, or begins it.
func (g *guard) sealed(name string) *sealed {
	g.mu.Lock()
	defer g.mu.Unlock()
	it, ok := g.vault.Find(name, time.Time{})
	if !ok {
		it = &sealed{turn: make(chan struct{}, 1)}
		g.vault.Put(name, it, 0, never)
	}
	return it
}

// keep notes what a segment has come to weigh.
func (g *guard) keep(name string, it *sealed) {
	size := int64(0)
	for _, b := range it.parts {
		size += int64(len(b))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.vault.Put(name, it, size, never)
}

// filling encrypts a segment.
type filling struct {
	of      Source
	shown   *shown
	r       *media.Rendition
	segment *media.Segment // as it came
	track   *protect.Track
}

// upTo makes the parts up to one, or with one below 0 all. Those before it are made too:
// they are wanted by somebody else, and AV1's parts follow from each other.
func (f *filling) upTo(ctx context.Context, it *sealed, one int) error {
	if it.whole || one >= 0 && one < len(it.parts) {
		return nil
	}
	if len(f.segment.Parts) == 0 {
		return f.all(ctx, it)
	}
	n := 0 // of those that are no gaps
	for i := range f.segment.Parts {
		part := &f.segment.Parts[i]
		if part.Gap {
			continue
		}
		if n++; n <= len(it.parts) {
			continue // it is made
		}
		if one >= 0 && n > one+1 {
			break // nobody asked for it
		}
		b := part.Data
		if b == nil {
			var err error
			if b, err = f.read(ctx, part.Extent); err != nil {
				return err
			}
		}
		if err := f.add(it, b); err != nil {
			return err
		}
	}
	it.whole = it.whole || one < 0
	return nil
}

// all makes a segment whose parts are known no more: they are found in its bytes.
func (f *filling) all(ctx context.Context, it *sealed) error {
	b, err := f.read(ctx, f.segment.Extent)
	if err != nil {
		return err
	}
	cuts, err := protect.Split(b)
	if err != nil {
		return err
	}
	it.seq, it.parts = nil, nil
	for _, b := range cuts {
		if err := f.add(it, b); err != nil {
			return err
		}
	}
	it.whole = true
	return nil
}

func (f *filling) add(it *sealed, part []byte) (err error) {
	if it.seq == nil {
		if it.seq, err = f.track.Sequence(); err != nil {
			return err
		}
	}
	b, err := it.seq.Part(part)
	if err != nil {
		return err
	}
	it.parts = append(it.parts, b)
	return nil
}

// read reads what is not in memory.
func (f *filling) read(ctx context.Context, e media.Extent) ([]byte, error) {
	in, err := f.of.Read(ctx, f.shown.open, f.r.ID, e)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBytes, err)
	}
	b, err := io.ReadAll(io.LimitReader(in, maxSegment+1))
	if err = errors.Join(err, in.Close()); err != nil {
		return nil, fmt.Errorf("%w: %w", errBytes, err)
	}
	if len(b) > maxSegment || e.Size >= 0 && int64(len(b)) < e.Size {
		return nil, fmt.Errorf("%w: %d bytes of %d", errBytes, len(b), e.Size)
	}
	return b, nil
}
