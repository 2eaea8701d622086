package signaling

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/problem"
)

// choice is the body of the layer-selection extension (WHEP Core Extensions).
// What is left out is chosen by the server; unknown fields are ignored. Audio is
// ours: which audio track, by its name or by languages. A body without it leaves the
// sound as it is, and one with nothing but it leaves the picture.
type choice struct {
	MediaID     mediaID `json:"mediaId"`
	RID         string  `json:"rid"`
	Spatial     *int    `json:"spatialLayerId"`
	Temporal    *int    `json:"temporalLayerId"`
	MaxSpatial  *int    `json:"maxSpatialLayerId"`
	MaxTemporal *int    `json:"maxTemporalLayerId"`
	MaxWidth    *int    `json:"maxWidth"`
	MaxHeight   *int    `json:"maxHeight"`
	Audio       *string `json:"audio"`
}

// pictured reports whether the choice says something of the picture.
func (c *choice) pictured() bool {
	for _, n := range [...]*int{c.Spatial, c.Temporal, c.MaxSpatial, c.MaxTemporal, c.MaxWidth, c.MaxHeight} {
		if n != nil {
			return true
		}
	}
	return c.RID != "" || c.Audio == nil
}

// mediaID is a string in the draft; a bare number, which says the same, is taken too.
type mediaID string

// UnmarshalJSON reads a string, a number or null.
func (m *mediaID) UnmarshalJSON(b []byte) error {
	var n json.Number
	if json.Unmarshal(b, &n) == nil && len(b) > 0 && b[0] != '"' {
		*m = mediaID(n)
		return nil
	}
	return json.Unmarshal(b, (*string)(m))
}

func (c choice) media() (media.LayerChoice, error) {
	out := media.AutomaticChoice()
	out.MID, out.RID = string(c.MediaID), c.RID
	for _, f := range []struct {
		to   *int
		from *int
		name string
	}{
		{&out.Spatial, c.Spatial, "spatialLayerId"}, {&out.Temporal, c.Temporal, "temporalLayerId"},
		{&out.MaxSpatial, c.MaxSpatial, "maxSpatialLayerId"}, {&out.MaxTemporal, c.MaxTemporal, "maxTemporalLayerId"},
		{&out.MaxWidth, c.MaxWidth, "maxWidth"}, {&out.MaxHeight, c.MaxHeight, "maxHeight"},
	} {
		if f.from == nil {
			continue
		}
		if *f.from < 0 {
			return out, fmt.Errorf("%w: %s is negative", media.ErrBadChoice, f.name)
		}
		*f.to = *f.from
	}
	return out, nil
}

// layers takes a layer choice.
func (s *Server) layers(w http.ResponseWriter, r *http.Request) error {
	sess, err := s.liveSession(r, viewer)
	if err != nil {
		return err
	}
	if err := wantType(r, typeJSON); err != nil {
		return err
	}
	b, err := body(w, r, maxJSON)
	if err != nil {
		return err
	}
	var c *choice
	if err := json.Unmarshal(b, &c); err != nil || c == nil {
		return fmt.Errorf("%w: an object is wanted", problem.ErrBadJSON)
	}
	wanted, err := c.media()
	if err != nil {
		return err
	}
	if c.Audio != nil {
		if err := s.lost(sess, s.parts.Views.ChooseAudio(sess.id, *c.Audio)); err != nil {
			return fmt.Errorf("choose an audio track: %w", err)
		}
	}
	if !c.pictured() {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	if err := s.lost(sess, s.parts.Views.Choose(sess.id, wanted)); err != nil {
		return fmt.Errorf("choose a layer: %w", err)
	}
	w.WriteHeader(http.StatusOK)
	return nil
}
