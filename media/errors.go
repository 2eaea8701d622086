package media

import (
	"errors"
	"time"
)

// The errors that rooms share. Signaling maps each to one HTTP status.
var (
	ErrBadStreamID  = errors.New("the stream name is not valid")                   // 400
	ErrBadOffer     = errors.New("the SDP offer cannot be read")                   // 400
	ErrUnsupported  = errors.New("the offer cannot be served")                     // 422
	ErrBadFragment  = errors.New("the ICE fragment cannot be read")                // 400
	ErrNotLive      = errors.New("nobody publishes this stream now")               // 409 + Retry-After
	ErrStreamTaken  = errors.New("somebody else publishes this stream")            // 409
	ErrNoSession    = errors.New("there is no such session")                       // 404
	ErrNoStream     = errors.New("there is no such stream")                        // 404
	ErrOverloaded   = errors.New("the server has no room for another session now") // 503 + Retry-After
	ErrShuttingDown = errors.New("the server is shutting down")                    // 503 + Retry-After
	ErrUnauthorized = errors.New("the token is missing or not valid")              // 401
	ErrForbidden    = errors.New("the token does not allow this")                  // 403
	ErrBadChoice    = errors.New("the layer choice cannot be served")              // 400
	ErrNotFound     = errors.New("there is nothing under this name")               // 404
	ErrBadQuery     = errors.New("the question cannot be read")                    // 400
	ErrStale        = errors.New("somebody else changed it meanwhile")             // 412
)

// Why a session ended; reasons go to logs, to server-sent events and to sinks.
var (
	ErrHangup        = errors.New("the client hung up")
	ErrKicked        = errors.New("the session was ended by an administrator")
	ErrTakenOver     = errors.New("a newer publisher took the stream over")
	ErrGone          = errors.New("the other side stopped answering")
	ErrPublisherLeft = errors.New("the publisher left and did not come back")
	ErrNoCodec       = errors.New("the publisher's codec is not one that this viewer accepted")
	ErrTooLarge      = errors.New("the publisher's picture is larger than the stream's policy allows")
	ErrTooFast       = errors.New("the publisher sends more than the stream's policy allows")
)

// BusyError is ErrOverloaded with what is lacking, and when to come again.
type BusyError struct {
	Why   string
	After time.Duration
}

// Error says what is lacking.
func (e *BusyError) Error() string { return ErrOverloaded.Error() + ": " + e.Why }

// Unwrap returns ErrOverloaded.
func (e *BusyError) Unwrap() error { return ErrOverloaded }

// RedirectError asks the caller to answer 307 with the Location.
type RedirectError struct{ Location string }

// Error says where the request should go.
func (e *RedirectError) Error() string { return "the request is served at " + e.Location }
