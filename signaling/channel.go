package signaling

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/sluice-live/sluice/media"
)

// channelCaptions is the label of the data channel over which a viewer gets captions.
const channelCaptions = "captions"

// paper is what events are written on.
type paper interface {
	event(e event) error
	// comment keeps it from being closed.
	comment() error
}

// channel is a viewer's data channel: each event is one message, an object.
type channel func([]byte) error

func (c channel) event(e event) error {
	b, err := json.Marshal(struct {
		Event string          `json:"event"`
		Data  json.RawMessage `json:"data"`
	}{e.name, e.data})
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return c(b)
}

func (channel) comment() error { return nil } // the transport keeps itself alive

// Channel serves a data channel that a viewer of the stream has opened, until ctx ends:
// "captions" has the events of GET /v1/streams/{stream}/captions. It returns at once for
// other labels, and where as many listen as may.
func (s *Server) Channel(ctx context.Context, stream media.StreamID, label string, send func([]byte) error) {
	if label != channelCaptions || !s.hub.enter() {
		return
	}
	defer s.hub.leave()
	s.metrics.feeds.Inc()
	defer s.metrics.feeds.Dec()
	s.tellCaptions(ctx, stream, channel(send))
}
