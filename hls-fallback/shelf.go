package hlsfallback

import (
	"bytes"
	"compress/gzip"
	"hash/fnv"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/dash"
	"github.com/sluice-live/sluice/hls-fallback/playlist"
	"github.com/sluice-live/sluice/media"
)

// shelves keep what was rendered, by name. What nobody asked for in a while goes.
type shelves struct {
	most int64 // bytes of renderings, over all names
	mu   sync.Mutex
	all  map[string]*shelf
	size atomic.Int64 // bytes of renderings
}

const (
	// maxShelves bounds the names that are remembered: an asset catalogue is long, and
	// its playlists are rendered again when they are wanted again.
	maxShelves = 1024
	// maxKept bounds the renderings of all names together, in bytes: a playlist of a
	// day has 5 MB, and anybody may ask for any number of such.
	maxKept = 128 << 20
)

func newShelves() *shelves { return &shelves{most: maxKept, all: make(map[string]*shelf)} }

// of returns the shelf of a name and incarnation.
func (s *shelves) of(name, incarnation string) *shelf {
	s.mu.Lock()
	defer s.mu.Unlock()
	sh := s.all[name]
	if sh == nil || sh.incarnation != incarnation {
		if sh != nil {
			sh.close()
		} else if len(s.all) >= maxShelves {
			s.drop()
		}
		sh = &shelf{of: s, incarnation: incarnation, answers: make(map[wish]*answer), scribes: make(map[scribeKey]*scribe)}
		s.all[name] = sh
	}
	sh.used = time.Now()
	for s.size.Load() > s.most && len(s.all) > 1 {
		s.drop() // never the one that was used just now
	}
	return sh
}

// drop forgets the shelf that was not used for the longest time.
func (s *shelves) drop() {
	oldest := ""
	for name, sh := range s.all {
		if oldest == "" || sh.used.Before(s.all[oldest].used) {
			oldest = name
		}
	}
	s.all[oldest].close()
	delete(s.all, oldest)
}

// shelf is what was rendered of one incarnation.
type shelf struct {
	of          *shelves
	incarnation string
	used        time.Time // under the lock of shelves
	mu          sync.Mutex
	closed      bool  // it is not on the shelves any more
	size        int64 // bytes of answers that are made
	answers     map[wish]*answer
	scribes     map[scribeKey]*scribe
	dash        dash.Writer // under dashing
	dashing     sync.Mutex
}

// wish is one rendering that may be asked for.
type wish struct {
	file      file
	rendition string
	view      playlist.View
}

// maxAnswers bounds the renderings per name: time-shifted playlists are as many as
// anybody likes to make up.
const maxAnswers = 256

// answer is one rendering of one snapshot, compressed too. It is immutable once done
// is closed.
type answer struct {
	version  uint64
	done     chan struct{}
	body, gz []byte
	etag     []string // as headers want it
	length   []string
	gzLength []string
	nothing  bool // there is nothing to show yet
	failed   bool
	cost     int64 // bytes that it counts on its shelf
}

// close takes the shelf's bytes off the sum.
func (sh *shelf) close() {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	sh.of.size.Add(-sh.size)
	sh.size, sh.closed = 0, true
}

// count notes what an answer has come to weigh; an answer alone may weigh anything.
func (sh *shelf) count(key wish, a *answer) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.closed || sh.answers[key] != a {
		return
	}
	a.cost = int64(cap(a.body) + cap(a.gz))
	sh.weigh(a.cost)
	for other := range sh.answers {
		if sh.size <= sh.of.most/4 {
			return
		}
		if other != key {
			sh.forget(other)
		}
	}
}

// weigh and forget are called under the lock.
func (sh *shelf) weigh(bytes int64) {
	if !sh.closed {
		sh.size += bytes
		sh.of.size.Add(bytes)
	}
}

func (sh *shelf) forget(key wish) {
	if a := sh.answers[key]; a != nil {
		sh.weigh(-a.cost)
		delete(sh.answers, key)
	}
}

// get returns the rendering of a snapshot or of a newer one: whoever comes first
// makes it, all others wait for that.
func (sh *shelf) get(key wish, p *media.Presentation, render func(*answer)) *answer {
	sh.mu.Lock()
	a := sh.answers[key]
	if a != nil && a.version >= p.Version {
		sh.mu.Unlock()
		<-a.done
		if !a.failed {
			return a
		}
		sh.mu.Lock()
	}
	if a == nil && len(sh.answers) >= maxAnswers {
		sh.tidy()
	}
	sh.forget(key)
	a = &answer{version: p.Version, done: make(chan struct{}), failed: true}
	sh.answers[key] = a
	sh.mu.Unlock()
	defer close(a.done) // also when rendering panics: nobody waits for ever
	render(a)
	a.failed = false
	sh.count(key, a)
	return a
}

// tidy forgets the renderings of the oldest snapshots, one in four.
func (sh *shelf) tidy() {
	lowest, highest := ^uint64(0), uint64(0)
	for _, a := range sh.answers {
		lowest, highest = min(lowest, a.version), max(highest, a.version)
	}
	n := 0
	for key, a := range sh.answers {
		if a.version <= lowest+(highest-lowest)/4 || n < maxAnswers/4 && a.version < highest {
			sh.forget(key)
			n++
		}
	}
	for key := range sh.answers { // all of one snapshot
		if len(sh.answers) < maxAnswers {
			break
		}
		sh.forget(key)
	}
}

// scribeKey tells which lines are shared.
type scribeKey struct {
	rendition string
	token     bool
	legacy    bool
}

// scribe writes the playlists of one rendition, one at a time.
type scribe struct {
	mu     sync.Mutex
	lines  *playlist.Lines
	joined playlist.Joined
}

// scribe returns who wrote the playlist before. What has ended is written once: its
// lines are not kept.
func (sh *shelf) scribe(key scribeKey, ended bool) *scribe {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	s := sh.scribes[key]
	if s == nil {
		s = &scribe{lines: playlist.NewLines(key.token)}
		if !ended {
			sh.scribes[key] = s
		}
	}
	return s
}

// list renders a Media Playlist, nil when there is nothing to show.
func (sh *shelf) list(key wish, p *media.Presentation, r *media.Rendition) []byte {
	v := key.view
	if v.Empty(p, r) {
		return nil
	}
	if key.file == iframeList {
		return playlist.IFrames(nil, p, r, v)
	}
	s := sh.scribe(scribeKey{r.ID, v.Token, v.Form == playlist.Legacy}, p.Ended)
	s.mu.Lock()
	defer s.mu.Unlock()
	if v.Form == playlist.Legacy && r.Kind != media.SubtitleRendition { // text is not joined: cues that span two segments are in both
		return s.joined.Playlist(nil, p, r, v)
	}
	return s.lines.Media(make([]byte, 0, 8<<10), p, r, v)
}

// manifest renders the MPD.
func (sh *shelf) manifest(p *media.Presentation, v playlist.View, asset bool) []byte {
	sh.dashing.Lock()
	defer sh.dashing.Unlock()
	return sh.dash.MPD(p, dash.Options{Window: v.Window, Shift: v.Shift, From: v.From, To: v.To, Token: v.Token, Asset: asset})
}

// fill takes the text of an answer and compresses it.
func (a *answer) fill(text []byte) {
	a.body, a.nothing = text, len(text) == 0
	if a.nothing {
		return
	}
	a.gz = compress(text)
	h := fnv.New64a()
	_, _ = h.Write(text) // never fails
	a.etag = []string{`"` + strconv.FormatUint(h.Sum64(), 36) + `"`}
	a.length = []string{strconv.Itoa(len(a.body))}
	a.gzLength = []string{strconv.Itoa(len(a.gz))}
}

// writers are used again: one has 800 KB of tables.
var writers = sync.Pool{New: func() any {
	// The fastest level: playlists are made several times a second for each stream,
	// and their repetitions are found all the same.
	w, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is a constant
	}
	return w
}}

func compress(text []byte) []byte {
	w := writers.Get().(*gzip.Writer)
	defer writers.Put(w)
	var b bytes.Buffer
	b.Grow(len(text)/6 + 256)
	w.Reset(&b)
	_, _ = w.Write(text) // a Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}
