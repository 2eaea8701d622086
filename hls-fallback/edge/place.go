package edge

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
)

const (
	// placeFor is how long no playlist may be older than one that was served: players
	// ask again much sooner, and origins that ran ahead of the others shall not lock
	// them out.
	placeFor = 10 * time.Second
	// placesSize bounds what is remembered of playlists, in bytes: some 4,000.
	placesSize = 4 << 20
	// mixedFor is longer than parts are listed: three target durations.
	mixedFor = time.Minute
)

// servedOf returns how far the playlist reached that was served last; the caller holds
// mu. With one origin there is nothing to compare.
func (e *Edge) servedOf(t cache.Target, now time.Time) cache.Place {
	if len(e.cfg.Origins) < 2 || !t.Placed() {
		return cache.Place{}
	}
	p, _ := e.places.Find(t.Path, now)
	return p
}

// reached notes how far a playlist reaches that is served now, and returns the segment
// that has no parts in it.
func (e *Edge) reached(t cache.Target, resp *http.Response) (mixed uint64, ok bool) {
	if len(e.cfg.Origins) < 2 || !t.Placed() || resp.StatusCode != http.StatusOK {
		return 0, false
	}
	p := cache.ParsePlace(resp.Header.Get(cache.PlaceHeader))
	if p == (cache.Place{}) {
		return 0, false
	}
	now := time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	served, known := e.places.Find(t.Path, now)
	if msn, breaks := served.Breaks(p); known && breaks {
		e.mixed.Put(t.Path, msn, 0, now.Add(mixedFor))
	}
	if known && p.IsBefore(served) {
		p = served
	}
	e.places.Put(t.Path, p, 0, now.Add(placeFor))
	return e.mixed.Find(t.Path, now)
}

// hide takes the parts of a segment out of a playlist. Some of them came from another
// origin, whose encoder was another: what is decoded of both is no picture, and some
// players break. The whole segment is one origin's, and begins with a key frame.
func hide(resp *http.Response, msn uint64) error {
	defer resp.Body.Close()
	var from io.Reader = resp.Body
	if packed(resp.Header) {
		z, err := gzip.NewReader(from)
		if err != nil {
			return fmt.Errorf("%w: unpack a playlist: %w", errOrigin, err)
		}
		from = z
	}
	text, err := io.ReadAll(io.LimitReader(from, maxUnpacked))
	if err != nil {
		return fmt.Errorf("%w: read a playlist: %w", errOrigin, withoutURL(err))
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err1 := io.WriteString(z, cache.WithoutParts(string(text), msn))
	if err := errors.Join(err1, z.Close()); err != nil {
		return fmt.Errorf("%w: pack a playlist: %w", errOrigin, err)
	}
	resp.Header.Set("Content-Encoding", "gzip")
	resp.Header.Del("ETag")
	resp.ContentLength = int64(out.Len())
	resp.Body = io.NopCloser(&out)
	return nil
}
