package matrix

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/sluice-live/sluice/loadtest/link"
)

// Repairs is what the server says of a publisher's link, by kind of track
// ("audio", "video"). Browsers and OBS offer no NACK for sound: what is lost of
// it on their way is lost.
type Repairs map[string]Repair

// Repair counts packets of one kind.
type Repair struct {
	Lost     uint64 `json:"lost"`     // that never came
	Repaired uint64 `json:"repaired"` // that came again after they were lost
}

// Share is how much of what the link lost was repaired, 0–1; false where
// nothing was lost, or nothing is known.
func (r Repair) Share() (float64, bool) {
	if r.Lost+r.Repaired == 0 {
		return 0, false
	}
	return float64(r.Repaired) / float64(r.Lost+r.Repaired), true
}

// since is what was counted after an earlier look.
func (r Repairs) since(o Repairs) Repairs {
	if r == nil || o == nil {
		return nil
	}
	out := Repairs{}
	for kind, n := range r {
		out[kind] = Repair{n.Lost - o[kind].Lost, n.Repaired - o[kind].Repaired}
	}
	return out
}

// repairs asks the server how the publisher of a stream is doing; nil where it
// does not tell. Sluice counts anew once a second.
func (s *stage) repairs(ctx context.Context, stream string) Repairs {
	if s.o.Status == "" {
		return nil
	}
	res, err := link.Do(ctx, s.http.Client, link.Request{Method: http.MethodGet, URL: endpoint(s.o.Server, s.o.Status, stream), Token: s.o.ViewToken})
	if err != nil || res.StatusCode != http.StatusOK {
		return nil // another server; the row is worth having without
	}
	return parseRepairs(res.Body)
}

func parseRepairs(b []byte) Repairs {
	var status struct {
		Publisher struct {
			Tracks []struct {
				Kind string `json:"kind"`
				Repair
			} `json:"tracks"`
		} `json:"publisher"`
	}
	if json.Unmarshal(b, &status) != nil || len(status.Publisher.Tracks) == 0 {
		return nil
	}
	out := Repairs{}
	for _, t := range status.Publisher.Tracks {
		out[t.Kind] = Repair{out[t.Kind].Lost + t.Lost, out[t.Kind].Repaired + t.Repaired}
	}
	return out
}

// column is of the table: picture / sound.
func (r Repairs) column() string {
	of := func(kind string) string {
		share, ok := r[kind].Share()
		if !ok {
			return "–"
		}
		return fmt.Sprintf("%.2f (%d of %d)", 100*share, r[kind].Repaired, r[kind].Lost+r[kind].Repaired)
	}
	if r == nil {
		return "–"
	}
	return of("video") + " / " + of("audio")
}
