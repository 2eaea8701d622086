package signaling

import (
	"encoding/json"

	"github.com/sluice-live/sluice/media"
)

// sound is one audio track in an audio event.
type sound struct {
	Name     string `json:"name"`
	Language string `json:"language,omitempty"`
	Current  bool   `json:"current,omitempty"` // it is the one that is being sent
}

// soundList is the list of a stream's audio tracks as JSON; "[]" where there is
// nothing to choose, which is told to those only who were told of more.
func (t *teller) soundList(v media.SessionView) string {
	var all []sound
	if _, heard := v.MLine[v.Sound]; heard {
		for _, k := range v.Tracks {
			if k.Kind == media.Audio {
				all = append(all, sound{k.Name, k.Language, k.ID == v.Sound})
			}
		}
	}
	if len(all) < 2 {
		if t.sounds == "" {
			return ""
		}
		return "[]"
	}
	b, _ := json.Marshal(all) // strings only
	return string(b)
}
