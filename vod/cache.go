package vod

import (
	"container/list"
	"errors"
	"sync"
	"time"
)

// cache keeps what is dear to make, the least used goes first. What several want
// at the same time is made once. Costs are in whatever the owner counts.
type cache[V any] struct {
	max int64

	mu      sync.Mutex // guards what follows; never held while something is made
	cost    int64
	entries map[string]*list.Element
	order   *list.List // of *entry[V], the last used in front
}

type entry[V any] struct {
	key   string
	ready chan struct{} // closed when what follows is set
	value V
	cost  int64
	until time.Time // zero: while it is being made
	err   error
}

var errUnmade = errors.New("it could not be made")

func newCache[V any](most int64) *cache[V] {
	return &cache[V]{max: most, entries: make(map[string]*list.Element), order: list.New()}
}

// get returns what is kept under a key, or makes it; make tells the cost and how
// long it is good for (not at all: 0). Errors are not kept.
func (c *cache[V]) get(key string, mk func() (V, int64, time.Duration, error)) (V, error) {
	c.mu.Lock()
	if el, ok := c.entries[key]; ok {
		e := el.Value.(*entry[V])
		if e.until.IsZero() || time.Now().Before(e.until) {
			c.order.MoveToFront(el)
			c.mu.Unlock()
			<-e.ready
			return e.value, e.err
		}
		c.remove(el)
	}
	e := &entry[V]{key: key, ready: make(chan struct{})}
	el := c.order.PushFront(e)
	c.entries[key] = el
	c.mu.Unlock()

	var cost int64
	var good time.Duration
	e.err = errUnmade
	defer func() { // also when mk panics: nobody waits for ever, and the next one tries again
		close(e.ready)
		c.settle(el, cost, good)
	}()
	e.value, cost, good, e.err = mk()
	return e.value, e.err
}

// settle keeps what was made, if it is good for a while.
func (c *cache[V]) settle(el *list.Element, cost int64, good time.Duration) {
	e := el.Value.(*entry[V])
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.entries[e.key] != el:
		return // dropped meanwhile
	case e.err != nil || good <= 0:
		c.remove(el)
		return
	}
	e.cost, e.until = cost, time.Now().Add(good)
	c.cost += cost
	for at := c.order.Back(); at != nil && c.cost > c.max; {
		before := at.Prev()
		if !at.Value.(*entry[V]).until.IsZero() {
			c.remove(at)
		}
		at = before
	}
}

func (c *cache[V]) drop(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if el, ok := c.entries[key]; ok {
		c.remove(el)
	}
}

func (c *cache[V]) remove(el *list.Element) {
	e := el.Value.(*entry[V])
	if !e.until.IsZero() {
		c.cost -= e.cost
	}
	delete(c.entries, e.key)
	c.order.Remove(el)
}
