package signaling

import (
	"fmt"
	"net/http"
	"time"
)

// line writes server-sent events (HTML, section 9.2.5). Each write has a
// deadline of its own, so that a client that stopped reading is let go, and the
// server's write timeout does not cut a healthy stream.
type line struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// patience is how long a full connection may stay so.
const patience = 10 * time.Second

func newLine(w http.ResponseWriter) *line { return &line{w, http.NewResponseController(w)} }

func (l *line) event(e event) error { return l.write("event: %s\ndata: %s\n\n", e.name, e.data) }

// comment is read by nobody and keeps proxies from closing; the first one sends
// the headers.
func (l *line) comment() error { return l.write(":\n\n") }

// done takes the deadline back, as the connection may carry other requests.
func (l *line) done() { _ = l.control.SetWriteDeadline(time.Time{}) }

func (l *line) write(format string, args ...any) error {
	// Not every ResponseWriter has deadlines; those of net/http do.
	_ = l.control.SetWriteDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(l.w, format, args...); err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	if err := l.control.Flush(); err != nil {
		return fmt.Errorf("send an event: %w", err)
	}
	return nil
}
