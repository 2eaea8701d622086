package hlsfallback

import (
	"fmt"
	"net/http"
	"time"

	"github.com/sluice-live/sluice/media/webvtt"
)

// text serves all text of an ended rendition as one file, its times counted from the
// one in its name: the beginning of a period, where DASH clients count from (DASH-IF
// Interoperability Points 4.3, section 6.4.5).
func (s *Server) text(w *reply, r *http.Request, v *visit) error {
	if !v.p.Ended {
		return errMissing // its cues are not all there yet
	}
	all := &webvtt.File{}
	for _, one := range v.r.Segments {
		data, _, ok := inMemory(one)
		if !ok {
			continue
		}
		for _, b := range data {
			f, err := webvtt.Parse(b)
			if err != nil {
				return fmt.Errorf("%w: %w", errBytes, err)
			}
			all.Styles = f.Styles
			all.Cues = append(all.Cues, f.Cues...)
		}
	}
	b := webvtt.Append(nil, all.Shift(-time.Duration(v.first)*time.Millisecond), false)
	return s.bytes(w, r, v, content{memory: [][]byte{b}, size: int64(len(b))})
}
