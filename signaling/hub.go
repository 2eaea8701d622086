package signaling

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// keptCaptions is how many captions of a stream are kept for those who join, and for
	// those who are slow: who is slower than that misses some.
	keptCaptions = 64
	// forgetCaptions is how long a stream without new ones keeps its languages.
	forgetCaptions = 10 * time.Minute
	// maxCaptioned bounds the streams, maxListeners those who listen on this node.
	maxCaptioned = 4096
	maxListeners = 20_000
)

// hub hands captions to listeners. No listener has a queue: each takes what is newer
// than what it took last.
type hub struct {
	mu        sync.Mutex
	streams   map[media.StreamID]*captioned
	number    uint64        // of the newest caption
	began     chan struct{} // closed when a stream has its first caption
	listeners atomic.Int64
}

// captioned are the captions of a stream.
type captioned struct {
	languages []string // sorted; replaced, never changed
	kept      []numbered
	changed   chan struct{} // closed when there is a newer one
	at        time.Time     // when that was
}

type numbered struct {
	media.Caption
	number uint64
}

// news is what a listener has not taken yet.
type news struct {
	captions  []numbered
	languages []string
	last      uint64
	changed   <-chan struct{}
}

func newHub() *hub {
	return &hub{streams: make(map[media.StreamID]*captioned), began: make(chan struct{})}
}

func (h *hub) enter() bool {
	if h.listeners.Add(1) > maxListeners {
		h.leave()
		return false
	}
	return true
}

func (h *hub) leave() { h.listeners.Add(-1) }

// of returns a stream's; a new one takes the place of the one that was quiet for
// longest.
func (h *hub) of(stream media.StreamID, now time.Time) *captioned {
	c := h.streams[stream]
	if c == nil {
		if len(h.streams) >= maxCaptioned {
			var oldest media.StreamID
			for id, one := range h.streams {
				if oldest == "" || one.at.Before(h.streams[oldest].at) {
					oldest = id
				}
			}
			h.drop(oldest)
		}
		c = &captioned{languages: []string{}, changed: make(chan struct{}), at: now}
		h.streams[stream] = c
		close(h.began)
		h.began = make(chan struct{})
	}
	return c
}

// drop forgets a stream; who listens begins anew.
func (h *hub) drop(stream media.StreamID) {
	close(h.streams[stream].changed)
	delete(h.streams, stream)
}

// fits reports whether the stream has room for the languages.
func (h *hub) fits(stream media.StreamID, all []media.Caption) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	var languages []string
	if c := h.streams[stream]; c != nil {
		languages = c.languages
	}
	return len(with(languages, all)) <= media.MaxLanguages
}

// with returns the languages, with those of captions; sorted.
func with(languages []string, all []media.Caption) []string {
	for _, c := range all {
		if i, known := slices.BinarySearch(languages, c.Language); !known {
			languages = slices.Insert(slices.Clone(languages), i, c.Language)
		}
	}
	return languages
}

// add hands captions on.
func (h *hub) add(stream media.StreamID, all []media.Caption, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.of(stream, now)
	c.languages, c.at = with(c.languages, all), now
	for _, one := range all {
		h.number++
		c.kept = append(c.kept, numbered{one, h.number})
	}
	if n := len(c.kept) - keptCaptions; n > 0 {
		c.kept = slices.Delete(c.kept, 0, n)
	}
	close(c.changed)
	c.changed = make(chan struct{})
}

// since returns what is newer than a number, and not over. Who listens makes no stream:
// there are as many names as anybody likes to make up, and each would take the place
// of one that has captions.
func (h *hub) since(stream media.StreamID, number uint64, now time.Time) news {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.streams[stream]
	if c == nil {
		return news{languages: []string{}, last: number, changed: h.began}
	}
	out := news{languages: c.languages, last: number, changed: c.changed}
	for _, one := range c.kept {
		if one.number > number {
			out.last = one.number
			if one.End.After(now) {
				out.captions = append(out.captions, one)
			}
		}
	}
	return out
}

// sweep forgets streams that have been quiet for long.
func (h *hub) sweep(now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for id, c := range h.streams {
		if now.Sub(c.at) > forgetCaptions {
			h.drop(id)
		}
	}
}
