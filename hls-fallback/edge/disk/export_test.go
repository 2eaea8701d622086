package disk

// Rested lets the minute pass for which a disk that failed is left alone.
func (s *Store) Rested() {
	if s.reading.rests() {
		s.reading.off.Store(1)
	}
}
