package vod

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// eventsKept is how long a reader of the events may be away and miss none.
	eventsKept = 30 * day
	// maxEvents bounds their table, whatever the clock says: about 20 MB.
	maxEvents = 100_000
	// Events are short, and a reader who was away has many to catch up with.
	usualEvents = 200
	mostEvents  = 1000
)

// eventJSON is an event as the API shows it.
type eventJSON struct {
	Seq    int64                `json:"seq"`
	Asset  string               `json:"asset"`
	Stream media.StreamID       `json:"stream"`
	Kind   media.AssetEventKind `json:"kind"`
	At     time.Time            `json:"at"`
	Detail string               `json:"detail,omitempty"`
}

// listEvents answers what happened to the assets that the caller may change, the oldest
// first. Next is behind all that was looked at, others' events too: as long as it rises
// there may be more.
func (v *Vod) listEvents(w http.ResponseWriter, r *http.Request) error {
	l, err := v.caller(r, false)
	switch {
	case err != nil:
		return err
	case l.Subject == "":
		return media.ErrUnauthorized
	case !l.Admin && len(l.Publish) == 0:
		return media.ErrForbidden
	}
	after, limit, err := readEventsQuery(r.URL.Query())
	if err != nil {
		return err
	}
	events, err := v.parts.Store.Events(r.Context(), after, limit)
	if err != nil {
		return err
	}
	out := struct {
		Events []eventJSON `json:"events"`
		Next   int64       `json:"next"`
	}{[]eventJSON{}, after}
	for _, e := range events {
		out.Next = e.Seq
		if l.mayChange(e.Stream) == nil {
			out.Events = append(out.Events, eventJSON(e))
		}
	}
	return writeJSON(w, http.StatusOK, out)
}

func readEventsQuery(in url.Values) (after int64, limit int, err error) {
	limit = usualEvents
	if text := in.Get("after"); text != "" {
		if after, err = strconv.ParseInt(text, 10, 64); err != nil || after < 0 {
			return 0, 0, fmt.Errorf("%w: after is the next of an answer, or 0", media.ErrBadQuery)
		}
	}
	if text := in.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > mostEvents {
			return 0, 0, fmt.Errorf("%w: limit is from 1 to %d", media.ErrBadQuery, mostEvents)
		}
	}
	return after, limit, nil
}

// trimEvents forgets the oldest events.
func (v *Vod) trimEvents(ctx context.Context) error {
	return v.parts.Store.TrimEvents(ctx, v.now().Add(-eventsKept), maxEvents)
}
