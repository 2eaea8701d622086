package hlsfallback

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
	"github.com/sluice-live/sluice/hls-fallback/playlist"
	"github.com/sluice-live/sluice/hls-fallback/protect"
	"github.com/sluice-live/sluice/media"
)

// Keys gives what the media of protected streams are encrypted with. Its methods may be
// called from any goroutine.
type Keys interface {
	// Protects reports whether HLS and DASH of a stream are encrypted; it is asked with
	// each request and returns at once.
	Protects(id media.StreamID) bool
	// Key returns the same key whenever the same is asked. With an error nothing is
	// served.
	Key(ctx context.Context, a media.KeyAsk) (*media.ContentKey, error)
}

// guard stands before a source: what is protected leaves it encrypted and in no other
// way, under names that tell with which keys. What is not comes as it is.
type guard struct {
	Source
	keys Keys
	base string // of the addresses, "/live/"
	log  *slog.Logger

	mu    sync.Mutex // guards what follows
	wards *cache.Shelf[*ward]
	vault *cache.Shelf[*sealed]
}

const (
	// maxVault bounds the encrypted media that are kept, in bytes: ten seconds of thirty
	// busy streams. What is older is encrypted again for who wants it.
	maxVault = 64 << 20
	// maxWards bounds what is remembered of presentations, in bytes: a hundred hours of
	// four renditions. segmentWeighs is a segment of it.
	maxWards, segmentWeighs = 128 << 20, 200
	// tagLength is how much longer a protected incarnation's name is.
	tagLength = 1 + 16
)

func newGuard(of Source, keys Keys, base string, log *slog.Logger) *guard {
	return &guard{Source: of, keys: keys, base: base, log: log,
		wards: cache.NewShelf[*ward](maxWards), vault: cache.NewShelf[*sealed](maxVault)}
}

// never is a life that does not end: only room is short.
var never = time.Unix(1<<40, 0)

// ward is one incarnation of a protected stream.
type ward struct {
	turn   chan struct{} // one element: who has it may change what follows
	keys   map[media.RenditionKind]*media.ContentKey
	told   map[string]bool // renditions that cannot be protected, and are in the log
	latest atomic.Pointer[shown]
}

// shown is a snapshot and what is shown of it.
type shown struct {
	open   *media.Presentation // as it came
	p      *media.Presentation // as it leaves
	tracks map[string][]*protect.Track
	err    error
}

var (
	errSealed = &refusal{status: http.StatusUnprocessableEntity, word: "codec", title: "The picture cannot be protected", keep: keepError,
		detail: "the stream is to be protected, and its codec cannot be encrypted here; publish H.264, H.265 or AV1"}
	errKeys = &refusal{status: http.StatusServiceUnavailable, word: "keys", title: "There is no key now",
		detail: "the stream is to be protected, and the log says why there is no key", retry: 2 * time.Second}
)

// Presentation returns the newest snapshot, protected where that is asked for.
func (g *guard) Presentation(ctx context.Context, name string) (*media.Presentation, error) {
	p, err := g.Source.Presentation(ctx, name)
	if err != nil || !g.keys.Protects(p.Stream) {
		return p, err
	}
	s, err := g.show(ctx, name, p)
	if err != nil {
		return nil, err
	}
	return s.p, nil
}

// show makes what is shown of a snapshot, once.
func (g *guard) show(ctx context.Context, name string, p *media.Presentation) (*shown, error) {
	w := g.ward(p.Incarnation, true)
	if s := w.latest.Load(); s.covers(p) {
		return s, s.err
	}
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return nil, errAway
	}
	s := w.latest.Load()
	if s.covers(p) {
		return s, s.err
	}
	if w.keys == nil {
		keys, err := g.unlock(ctx, name, p)
		if err != nil {
			g.log.ErrorContext(ctx, "keys missing", "stream", p.Stream, "error", err)
			return nil, errKeys
		}
		w.keys = keys
	}
	next := w.cover(p, s)
	for id, err := range next.left {
		if !w.told[id] {
			w.told[id] = true
			g.log.WarnContext(ctx, "rendition not offered: it cannot be protected", "stream", p.Stream, "rendition", id, "error", err)
		}
	}
	w.latest.Store(&next.shown)
	g.remember(w, p)
	return &next.shown, next.err
}

// covers reports whether it was made of that snapshot, or of a newer one.
func (s *shown) covers(p *media.Presentation) bool {
	return s != nil && (s.open == p || s.open.Version > p.Version)
}

// ward finds what is remembered of an incarnation.
func (g *guard) ward(incarnation string, anew bool) *ward {
	g.mu.Lock()
	defer g.mu.Unlock()
	w, ok := g.wards.Find(incarnation, time.Time{})
	if !ok && anew {
		w = &ward{turn: make(chan struct{}, 1), told: make(map[string]bool)}
		g.wards.Put(incarnation, w, 0, never)
	}
	return w
}

// remember notes what an incarnation has come to weigh. One is always remembered: what is
// played is found by it.
func (g *guard) remember(w *ward, p *media.Presentation) {
	size := int64(0)
	for _, r := range p.Renditions {
		size += int64(len(r.Segments)) * segmentWeighs
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wards.Put(p.Incarnation, w, min(size, maxWards/4), never)
}

// unlock gets the keys of both kinds.
func (g *guard) unlock(ctx context.Context, name string, p *media.Presentation) (map[media.RenditionKind]*media.ContentKey, error) {
	keys := make(map[media.RenditionKind]*media.ContentKey)
	for _, kind := range []media.RenditionKind{media.VideoRendition, media.AudioRendition} {
		key, err := g.keys.Key(ctx, media.KeyAsk{Stream: p.Stream, Incarnation: p.Incarnation, Kind: kind, Licence: g.base + name + "/" + licenceName})
		if err != nil {
			return nil, err
		}
		keys[kind] = key
	}
	return keys, nil
}

// covered is what is shown, and why some of it is not.
type covered struct {
	shown
	left map[string]error
}

// cover makes a protected snapshot; what is as it was before is taken from there.
func (w *ward) cover(p *media.Presentation, before *shown) covered {
	out := *p
	out.Incarnation = p.Incarnation + w.tag()
	if p.Recording == p.Incarnation {
		out.Recording = out.Incarnation
	}
	out.Renditions = make([]*media.Rendition, 0, len(p.Renditions))
	next := covered{shown{open: p, p: &out, tracks: make(map[string][]*protect.Track)}, make(map[string]error)}
	pictures, sealed := 0, 0
	for _, r := range p.Renditions {
		key := w.keys[r.Kind]
		if key == nil {
			if r.Kind == media.SubtitleRendition { // text stays clear
				out.Renditions = append(out.Renditions, r)
			}
			continue
		}
		one, err := next.rendition(r, key, before)
		if r.Kind == media.VideoRendition {
			pictures++
		}
		if err != nil {
			next.left[r.ID] = err
			continue
		}
		if r.Kind == media.VideoRendition {
			sealed++
		}
		out.Renditions = append(out.Renditions, one)
	}
	if pictures > 0 && sealed == 0 {
		next.err = errSealed
	}
	return next
}

// tag names the keys: addresses under which caches hold what is encrypted with others,
// or clear, are other addresses.
func (w *ward) tag() string {
	h := fnv.New64a()
	for _, kind := range []media.RenditionKind{media.VideoRendition, media.AudioRendition} {
		id := w.keys[kind].KeyID
		_, _ = h.Write(id[:]) // never fails
	}
	return fmt.Sprintf("-%016x", h.Sum64())
}

// rendition protects one rendition.
func (c *covered) rendition(r *media.Rendition, key *media.ContentKey, before *shown) (*media.Rendition, error) {
	one := *r
	one.Protection, one.Inits, one.Segments = &key.Protection, make([]media.Init, len(r.Inits)), make([]*media.Segment, len(r.Segments))
	var known []*protect.Track
	var open, was *media.Rendition
	if before != nil {
		known, open, was = before.tracks[r.ID], before.open.Rendition(r.ID), before.p.Rendition(r.ID)
	}
	tracks := make([]*protect.Track, len(r.Inits))
	for i, section := range r.Inits {
		if i < len(known) && i < len(open.Inits) && string(open.Inits[i].Data) == string(section.Data) {
			tracks[i] = known[i]
		} else {
			var err error
			if tracks[i], err = protect.New(section.Data, key); err != nil {
				return nil, err
			}
		}
		one.Inits[i] = media.Init{Codec: section.Codec, Width: section.Width, Height: section.Height, Data: tracks[i].Init()}
	}
	c.tracks[r.ID] = tracks
	for i, s := range r.Segments {
		if was != nil && playlist.Segment(open, s.MSN) == s {
			one.Segments[i] = playlist.Segment(was, s.MSN)
		} else {
			one.Segments[i] = hollow(s)
		}
	}
	if r.Open != nil {
		one.Open = hollow(r.Open)
	}
	return &one, nil
}

// hollow is a segment without its bytes: they are made when somebody asks for them, and
// their places tell Read which they are: the first part that is no gap, and so on, which
// can be told as well of a segment whose parts are known no more. How far its first
// picture reaches is not known before.
func hollow(s *media.Segment) *media.Segment {
	one := *s
	if s.Gap {
		return &one
	}
	one.Extent, one.Lead = media.Extent{Offset: int64(s.MSN), Size: -1}, 0
	one.Parts = make([]media.Part, len(s.Parts))
	if len(s.Parts) == 0 {
		one.Parts = nil
	}
	n := uint32(0)
	for i, part := range s.Parts {
		one.Parts[i] = part
		one.Parts[i].Data, one.Parts[i].Extent = nil, media.Extent{}
		if !part.Gap {
			n++
			one.Parts[i].Extent = media.Extent{Volume: n, Offset: int64(s.MSN), Size: -1}
		}
	}
	return &one
}

// Read makes the encrypted bytes of a part or a segment.
func (g *guard) Read(ctx context.Context, p *media.Presentation, rendition string, e media.Extent) (io.ReadCloser, error) {
	r := p.Rendition(rendition)
	if r == nil {
		return nil, media.ErrNotFound
	}
	w := (*ward)(nil)
	if n := len(p.Incarnation) - tagLength; n > 0 {
		w = g.ward(p.Incarnation[:n], false)
	}
	switch {
	case w == nil && r.Protection == nil:
		return g.Source.Read(ctx, p, rendition, e)
	case w == nil:
		return nil, media.ErrNotFound
	}
	s := w.latest.Load()
	if s == nil || s.p.Incarnation != p.Incarnation {
		return nil, media.ErrNotFound
	}
	if r.Protection == nil {
		return g.Source.Read(ctx, s.open, rendition, e)
	}
	parts, err := g.parts(ctx, s, rendition, uint64(e.Offset), int(e.Volume)-1)
	if err != nil {
		return nil, err
	}
	return &made{parts: parts}, nil
}

// made is what was encrypted, to be read or to be taken as it is.
type made struct{ parts [][]byte }

// Read reads.
func (m *made) Read(b []byte) (int, error) {
	for len(m.parts) > 0 && len(m.parts[0]) == 0 {
		m.parts = m.parts[1:]
	}
	if len(m.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(b, m.parts[0])
	m.parts = append([][]byte{m.parts[0][n:]}, m.parts[1:]...)
	return n, nil
}

// Close does nothing.
func (m *made) Close() error { return nil }

// licences returns the keys of what is shown of a stream now.
func (g *guard) licences(ctx context.Context, name string) ([]*media.ContentKey, error) {
	p, err := g.Source.Presentation(ctx, name)
	if err != nil {
		return nil, err
	}
	if !g.keys.Protects(p.Stream) {
		return nil, errMissing
	}
	if _, err := g.show(ctx, name, p); err != nil && !errors.Is(err, errSealed) {
		return nil, err
	}
	w := g.ward(p.Incarnation, true)
	select {
	case w.turn <- struct{}{}:
		defer func() { <-w.turn }()
	case <-ctx.Done():
		return nil, errAway
	}
	var keys []*media.ContentKey
	for _, key := range w.keys {
		keys = append(keys, key)
	}
	return keys, nil
}

// place is a segment's name in the vault.
func place(s *shown, rendition string, msn uint64) string {
	return s.p.Incarnation + "/" + rendition + "/" + strconv.FormatUint(msn, 10)
}
