package signaling

import (
	"context"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/token"
)

// Sessions makes, changes and ends WebRTC sessions. Its errors are those of
// media, or wrap them. The context of each call carries the trace identifier
// (see Trace), so that whoever logs with a LogHandler names the same one.
type Sessions interface {
	// Publish answers a WHIP offer.
	Publish(ctx context.Context, o media.Offer) (media.Answer, error)
	// Subscribe answers a WHEP offer.
	Subscribe(ctx context.Context, o media.Offer) (media.Answer, error)
	// Trickle adds the client's candidates.
	Trickle(ctx context.Context, id media.SessionID, f media.Fragment) error
	// Restart gives the session new ICE credentials. The answer carries the
	// server's new ones and one candidate; its Ufrag names the new ICE session.
	Restart(ctx context.Context, id media.SessionID, f media.Fragment) (media.Fragment, error)
	// Hangup ends a session; media.ErrNoSession when there is none.
	Hangup(ctx context.Context, id media.SessionID, why error) error
}

// Views shows what goes on, and takes choices of layers and of sound.
type Views interface {
	// View is a snapshot of one session; the channel is closed at the next change.
	View(id media.SessionID) (media.SessionView, <-chan struct{}, error)
	// Choose asks for a layer; media.ErrBadChoice when it cannot be had.
	Choose(id media.SessionID, c media.LayerChoice) error
	// ChooseAudio asks for an audio track as media.SessionView.Audio says;
	// media.ErrBadChoice when there is none such.
	ChooseAudio(id media.SessionID, audio string) error
	// Streams are all streams with all details; the caller may change the copy.
	Streams() []media.StreamStatus
	// Stream is one of them, or media.ErrNoStream.
	Stream(id media.StreamID) (media.StreamStatus, error)
}

// Authorizer tells what the bearer of a token may do: media.ErrUnauthorized
// when the token is none of ours or has expired, media.ErrForbidden when it
// does not cover the request.
type Authorizer interface {
	Authorize(ctx context.Context, r token.Request) (token.Grant, error)
}

// At is where a request came in.
type At struct {
	// Host is the name under which the client reached the node, without a port.
	// The client wrote it: it may be anything.
	Host string
}

// Parts are the others that the door works with.
type Parts struct {
	Sessions   Sessions
	Views      Views
	Authorizer Authorizer
	Policy     func(media.StreamID) media.Policy
	// Captions packages captions; nil: they are for viewers by WebRTC alone.
	Captions Captions
	// PassOn is given captions that were taken, and the Authorization that they came with,
	// for other nodes that package the same stream; it returns at once. Nil: there are
	// none.
	PassOn func(authorization string, stream media.StreamID, all []media.Caption)
	// Relays makes fresh TURN credentials for one client; nil means none.
	Relays     func(At) []ICEServer
	Logger     *slog.Logger          // nil is silent
	Registerer prometheus.Registerer // nil registers nowhere
}
