package edge

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
)

// blockSize is how much of a body of unknown length is made room for at once.
const blockSize = 32 << 10

// flight is one answer of the origin: first on its way, then kept. Many read it
// while one goroutine writes it; what was published never changes.
type flight struct {
	key string
	who netip.Addr // set out for
	// born is when the answer began, by this edge's clock.
	born time.Time

	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change
	waiting int           // clients that joined; none and no head yet: nobody wants it
	cancel  context.CancelFunc
	head    *head
	blocks  [][]byte
	size    int64
	over    bool
	err     error // why it broke off, when over
}

// head is what came before the body.
type head struct {
	status int
	header http.Header
	life   cache.Life
	length int64 // -1: not known
	origin string
	cookie *http.Cookie // each client gets it with its own token
	// alone is an answer that is not shared: too large, or for one client only.
	alone bool
	disk  bool // it comes from there
}

func newFlight(key string, cancel context.CancelFunc) *flight {
	return &flight{key: key, changed: make(chan struct{}), cancel: cancel}
}

// announce wakes who waits; mu is held.
func (f *flight) announce() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *flight) begin(h *head, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.head, f.born = h, now
	f.announce()
}

func (f *flight) end(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.over, f.err = true, err
	f.announce()
}

// room is where the next bytes may be read to. Only the writer calls it: beyond
// what is published nobody else looks.
func (f *flight) room() []byte {
	if n := len(f.blocks); n > 0 {
		last := f.blocks[n-1]
		if len(last) < cap(last) {
			return last[len(last):cap(last)]
		}
	}
	size := int64(blockSize)
	if f.head.length > 0 {
		// A length may lie: at most a megabyte is believed at once.
		size = min(max(f.head.length-f.size, 1), 1<<20)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocks = append(f.blocks, make([]byte, 0, size))
	return f.blocks[len(f.blocks)-1][:size]
}

// publish shows n bytes that were read into room.
func (f *flight) publish(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := len(f.blocks) - 1
	f.blocks[i] = f.blocks[i][:len(f.blocks[i])+n]
	f.size += int64(n)
	f.announce()
}

// adopt shows a body that is whole.
func (f *flight) adopt(body []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blocks, f.size = append(f.blocks, body), f.size+int64(len(body))
	f.announce()
}

// cost is what the body takes in memory, in bytes.
func (f *flight) cost() (n int64) {
	for _, b := range f.blocks {
		n += int64(cap(b))
	}
	return n
}

// headed waits for the head; an error when there will be none.
func (f *flight) headed(ctx context.Context) (*head, error) {
	for {
		f.mu.Lock()
		h, over, err, changed := f.head, f.over, f.err, f.changed
		f.mu.Unlock()
		switch {
		case h != nil:
			return h, nil
		case over:
			return nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// whole waits until all is there and returns the size.
func (f *flight) whole(ctx context.Context) (int64, error) {
	for {
		f.mu.Lock()
		size, over, err, changed := f.size, f.over, f.err, f.changed
		f.mu.Unlock()
		if over {
			return size, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// reader reads a flight from some place on, also while it comes.
type reader struct {
	f     *flight
	ctx   context.Context
	block int
	at    int
	skip  int64
	rest  []byte
}

// next returns the next bytes and whether they were already there; nothing and
// no error is the end.
func (r *reader) next() (b []byte, waited bool, err error) {
	for {
		b, over, changed, err := r.look()
		if len(b) > 0 || over || err != nil {
			return b, waited, err
		}
		waited = true
		select {
		case <-changed:
		case <-r.ctx.Done():
			return nil, waited, r.ctx.Err()
		}
	}
}

func (r *reader) look() (b []byte, over bool, changed <-chan struct{}, err error) {
	f := r.f
	f.mu.Lock()
	defer f.mu.Unlock()
	for r.block < len(f.blocks) {
		b := f.blocks[r.block][r.at:]
		full := len(f.blocks[r.block]) == cap(f.blocks[r.block])
		if n := min(r.skip, int64(len(b))); n > 0 {
			b, r.at, r.skip = b[n:], r.at+int(n), r.skip-n
		}
		if len(b) > 0 {
			r.at += len(b)
			return b, false, nil, nil
		}
		if !full {
			break // the writer fills this block before the next
		}
		r.block, r.at = r.block+1, 0
	}
	if f.over {
		return nil, true, nil, f.err
	}
	return nil, false, f.changed, nil
}

// Read serves those who need an io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		b, _, err := r.next()
		if err != nil {
			return 0, err
		}
		if len(b) == 0 {
			return 0, errEnd
		}
		r.rest = b
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
