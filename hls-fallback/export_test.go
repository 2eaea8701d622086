package hlsfallback

// HoldShifts keeps time-shifted playlists from being rendered until release.
func (s *Server) HoldShifts() (release func()) {
	for range cap(s.shifts) {
		s.shifts <- struct{}{}
	}
	return func() {
		for range cap(s.shifts) {
			<-s.shifts
		}
	}
}
