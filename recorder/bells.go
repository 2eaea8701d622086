package recorder

import "sync"

// bells are channels that are closed when a rendition has something new. "" is any.
type bells struct {
	mu   sync.Mutex
	of   map[string]chan struct{}
	dead bool // nothing will be new any more
}

// maxBells bounds the names that are waited for: those of renditions, and some that
// do not exist.
const maxBells = 64

// silent is closed: who asks for what cannot change does not wait.
func silent() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// channel returns the channel of a rendition.
func (b *bells) channel(rendition string) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead {
		return nil
	}
	if c := b.of[rendition]; c != nil {
		return c
	}
	if len(b.of) >= maxBells {
		return silent()
	}
	if b.of == nil {
		b.of = map[string]chan struct{}{}
	}
	c := make(chan struct{})
	b.of[rendition] = c
	return c
}

// ring wakes who waits for one of the renditions, or for any.
func (b *bells) ring(renditions ...string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range append(renditions, "") {
		if c := b.of[r]; c != nil {
			close(c)
			delete(b.of, r)
		}
	}
}

// stop wakes all; after it nobody is woken.
func (b *bells) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.of {
		close(c)
	}
	b.of, b.dead = nil, true
}
