package cache

import (
	"container/list"
	"time"
)

// Shelf keeps values with a size and a life, and never more bytes than it may:
// what was not asked for the longest time goes first. A library was looked at:
// hashicorp's counts entries and not bytes, ristretto may refuse what a thousand
// clients are about to ask for.
type Shelf[V any] struct {
	limit, bytes int64
	items        map[string]*list.Element
	order        *list.List // of *item[V], the last used in front
}

type item[V any] struct {
	key   string
	value V
	size  int64
	until time.Time
}

// entryCost is what an entry takes beside its bytes: map, list, headers.
const entryCost = 1 << 10

// NewShelf makes a shelf for so many bytes.
func NewShelf[V any](limit int64) *Shelf[V] {
	return &Shelf[V]{limit: limit, items: make(map[string]*list.Element), order: list.New()}
}

// Put keeps a value until then, and returns how many others had to go. What is
// larger than the shelf is not kept.
func (s *Shelf[V]) Put(key string, value V, size int64, until time.Time) (evicted int) {
	s.Remove(key)
	size += entryCost + int64(len(key))
	if size > s.limit {
		return 0
	}
	for s.bytes+size > s.limit {
		s.drop(s.order.Back())
		evicted++
	}
	s.items[key] = s.order.PushFront(&item[V]{key, value, size, until})
	s.bytes += size
	return evicted
}

// Find returns what is kept and still alive.
func (s *Shelf[V]) Find(key string, now time.Time) (value V, ok bool) {
	e, ok := s.items[key]
	if !ok {
		return value, false
	}
	i := e.Value.(*item[V])
	if !now.Before(i.until) {
		s.drop(e)
		return value, false
	}
	s.order.MoveToFront(e)
	return i.value, true
}

// Has reports whether a value is kept, dead or alive, and does not count as use.
func (s *Shelf[V]) Has(key string) bool { return s.items[key] != nil }

// Remove takes a value away.
func (s *Shelf[V]) Remove(key string) {
	if e, ok := s.items[key]; ok {
		s.drop(e)
	}
}

func (s *Shelf[V]) drop(e *list.Element) {
	i := s.order.Remove(e).(*item[V])
	delete(s.items, i.key)
	s.bytes -= i.size
}

// Bytes is how much is used.
func (s *Shelf[V]) Bytes() int64 { return s.bytes }

// Len is how many values are kept.
func (s *Shelf[V]) Len() int { return len(s.items) }
