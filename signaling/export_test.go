package signaling

// Remembered counts what the door holds in memory: sessions, attempts and
// addresses. No caller sees it, and a leak of it nobody would.
func (s *Server) Remembered() int {
	s.book.mu.Lock()
	defer s.book.mu.Unlock()
	s.asks.mu.Lock()
	defer s.asks.mu.Unlock()
	return len(s.book.sessions) + len(s.book.attempts) + len(s.asks.byKey) + s.asks.order.Len()
}
