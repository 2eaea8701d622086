package matrix

import (
	"encoding/json"
	"fmt"
	"time"
)

// Record is what one viewer saw, raw. Times are Unix milliseconds: viewers and
// relays run on one machine.
type Record struct {
	Joined   float64   `json:"joined"` // when the offer was posted
	Pictures []Picture `json:"pictures"`
	Samples  []Sample  `json:"samples"` // about two a second
	Errors   []string  `json:"errors,omitempty"`
}

// Picture is one that was shown.
type Picture struct {
	At     float64 // when
	Height int
	Sent   float64 // when the publisher sent it; 0 is unknown
}

// MarshalJSON writes [at, height, sent]: there are thousands.
func (p Picture) MarshalJSON() ([]byte, error) {
	return json.Marshal([3]float64{p.At, float64(p.Height), p.Sent})
}

// UnmarshalJSON reads [at, height, sent].
func (p *Picture) UnmarshalJSON(b []byte) error {
	var v [3]float64
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("read a picture: %w", err)
	}
	*p = Picture{At: v[0], Height: int(v[1]), Sent: v[2]}
	return nil
}

// Sample is a viewer's counters at a time, since it joined.
type Sample struct {
	At        float64 `json:"at"`
	Audio     float64 `json:"audio"`     // samples or packets that were due
	Concealed float64 `json:"concealed"` // those of them that were made up
	NACKs     float64 `json:"nacks"`
	PLIs      float64 `json:"plis"`
	Lost      float64 `json:"lost"` // video packets; the load viewer's were never repaired
	// What came of the picture, where it is known: packets, whole frames, decoded
	// frames, key frames among them.
	Packets float64 `json:"packets,omitempty"`
	Frames  float64 `json:"frames,omitempty"`
	Decoded float64 `json:"decoded,omitempty"`
	Keys    float64 `json:"keys,omitempty"`
	// Skew is how far the sound is ahead of the picture, in milliseconds, where
	// the viewer knows it; Known says so.
	Skew   float64 `json:"skew,omitempty"`
	Known  bool    `json:"known,omitempty"`
	Buffer float64 `json:"buffer,omitempty"` // jitter buffer of the picture, milliseconds per frame
}

func unixMS(t time.Time) float64 { return float64(t.UnixNano()) / 1e6 }
