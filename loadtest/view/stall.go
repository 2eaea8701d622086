package view

// Stall lets viewers read and say nothing from now on, as a player does whose
// tab sleeps: no reports, no NACKs, and a socket that runs full. Their
// consent checks go on (RFC 7675), so that the server keeps sending. What a
// summary says of latency, frames and freezes is then of the others.
func (s *Swarm) Stall(viewers ...*Viewer) error {
	return s.do(func() {
		for _, v := range viewers {
			if s.at(v.fd) == v && !v.stalled {
				v.stalled = true
				s.poller.ignore(v.fd)
			}
		}
	})
}
