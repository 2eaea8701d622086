// Package problem turns an error into what a client is told: an HTTP status, a
// title and a sentence (RFC 9457). It promises that unknown errors tell
// nothing about the inside. Any goroutine may call For; it holds no state.
package problem

import (
	"errors"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Problem is the body of an error response, and what goes into its head.
type Problem struct {
	media.Problem
	// Retry is when to come again; zero means that nothing is known.
	Retry time.Duration
	// Location is where to go instead (status 307).
	Location string
}

// The errors of HTTP itself, which only the door knows.
var (
	ErrMediaType       = errors.New("the body's media type is not the one that is read here")        // 415
	ErrNoAnswer        = errors.New("no counter-offer waits for an answer")                          // 422
	ErrTooLarge        = errors.New("the body is too large")                                         // 413
	ErrStale           = errors.New("If-Match does not name the present ICE session")                // 412
	ErrNoMatch         = errors.New("If-Match is needed")                                            // 428
	ErrMethod          = errors.New("this method is not served here")                                // 405
	ErrNotFound        = errors.New("nothing is served here")                                        // 404
	ErrNoEvents        = errors.New("there is no such event stream")                                 // 404
	ErrBadEvents       = errors.New("the wanted events are not known")                               // 400
	ErrManyEvents      = errors.New("the session has as many event streams as it may have")          // 409
	ErrBadJSON         = errors.New("the JSON cannot be read")                                       // 400
	ErrRead            = errors.New("the body could not be read")                                    // 400
	ErrTooManyAsks     = errors.New("too many requests come from this address")                      // 429
	ErrTooManyStarts   = errors.New("this key publishes too often")                                  // 429
	ErrTooManyCaptions = errors.New("too many captions come for this stream")                        // 429
	ErrTooManyGuesses  = errors.New("too many tokens from this address were refused; wait a moment") // 429
)

// Wait is an error with the time after which it is worth trying again.
type Wait struct {
	Err   error
	After time.Duration
}

// Error says what the wrapped error says.
func (w *Wait) Error() string { return w.Err.Error() }

// Unwrap returns the wrapped error.
func (w *Wait) Unwrap() error { return w.Err }

type row struct {
	err    error
	status int
	word   string
	title  string
	retry  time.Duration
}

// Comes again when it makes sense: a publisher often appears within seconds; a
// full node empties slowly; a node that shuts down is replaced by then.
const (
	retryLive = 2 * time.Second
	retryFull = 5 * time.Second
)

var rows = []row{
	{media.ErrUnauthorized, 401, "unauthorized", "Not authorized", 0},
	{media.ErrForbidden, 403, "forbidden", "Not allowed", 0},
	{media.ErrBadStreamID, 400, "stream-name", "Bad stream name", 0},
	{media.ErrBadOffer, 400, "offer", "Bad offer", 0},
	{media.ErrBadFragment, 400, "fragment", "Bad ICE fragment", 0},
	{media.ErrBadChoice, 400, "layer", "Bad layer choice", 0},
	{media.ErrUnsupported, 422, "unsupported", "Offer cannot be served", 0},
	{media.ErrNotLive, 409, "not-live", "Not live", retryLive},
	{media.ErrStreamTaken, 409, "taken", "Stream is taken", 0},
	{media.ErrNoSession, 404, "no-session", "No such session", 0},
	{media.ErrNoStream, 404, "no-stream", "No such stream", 0},
	{media.ErrOverloaded, 503, "overloaded", "Server is full", retryFull},
	{media.ErrShuttingDown, 503, "shutting-down", "Server is shutting down", retryFull},
	{ErrMediaType, 415, "media-type", "Unsupported media type", 0},
	{ErrNoAnswer, 422, "no-counter-offer", "No counter-offer is pending", 0},
	{ErrTooLarge, 413, "too-large", "Body too large", 0},
	{ErrStale, 412, "stale", "Precondition failed", 0},
	{ErrNoMatch, 428, "no-if-match", "Precondition required", 0},
	{ErrMethod, 405, "method", "Method not allowed", 0},
	{ErrNotFound, 404, "not-found", "Not found", 0},
	{ErrNoEvents, 404, "no-events", "No such event stream", 0},
	{ErrBadEvents, 400, "events", "Unknown events", 0},
	{ErrManyEvents, 409, "many-events", "Too many event streams", 0},
	{ErrBadJSON, 400, "json", "Bad JSON", 0},
	{ErrRead, 400, "body", "Body could not be read", 0},
	{ErrTooManyAsks, 429, "rate", "Too many requests", time.Second},
	{media.ErrBadQuery, 400, "query", "Bad query", 0},
	{ErrTooManyCaptions, 429, "caption-rate", "Too many captions", time.Second},
	{ErrTooManyStarts, 429, "publish-rate", "Too many publishes", time.Second},
	{ErrTooManyGuesses, 429, "login-rate", "Too many failed logins", time.Second},
}

// For says what the client is told. The error's own words go out only when one
// of the known errors is in it: those are written for clients.
func For(err error) Problem {
	var moved *media.RedirectError
	if errors.As(err, &moved) {
		return Problem{Problem: one("redirect", "Served elsewhere", 307, moved.Error()), Location: moved.Location}
	}
	for _, r := range rows {
		if errors.Is(err, r.err) {
			return Problem{Problem: one(r.word, r.title, r.status, err.Error()), Retry: retry(err, r.retry)}
		}
	}
	var late interface{ Timeout() bool }
	if errors.As(err, &late) && late.Timeout() {
		return Problem{Problem: one("timeout", "It took too long", 503, ""), Retry: retryFull}
	}
	return Problem{Problem: one("internal", "Internal error", 500, "the log has more under this trace")}
}

func retry(err error, usual time.Duration) time.Duration {
	var busy *media.BusyError
	if errors.As(err, &busy) && busy.After > 0 {
		return busy.After
	}
	var w *Wait
	if errors.As(err, &w) && w.After > usual {
		return w.After
	}
	return usual
}

func one(word, title string, status int, detail string) media.Problem {
	return media.Problem{Type: media.ProblemType(word), Title: title, Status: status, Detail: detail}
}
