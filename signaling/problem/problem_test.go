package problem_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/problem"
)

func TestEachErrorHasItsStatus(t *testing.T) {
	types := make(map[string]error)
	for _, c := range []struct {
		err    error
		status int
		retry  bool
	}{
		{media.ErrBadStreamID, 400, false}, {media.ErrBadOffer, 400, false}, {media.ErrUnsupported, 422, false},
		{media.ErrBadFragment, 400, false}, {media.ErrNotLive, 409, true}, {media.ErrStreamTaken, 409, false},
		{media.ErrNoSession, 404, false}, {media.ErrNoStream, 404, false}, {media.ErrOverloaded, 503, true},
		{media.ErrShuttingDown, 503, true}, {media.ErrUnauthorized, 401, false}, {media.ErrForbidden, 403, false},
		{media.ErrBadChoice, 400, false},
		{problem.ErrMediaType, 415, false}, {problem.ErrNoAnswer, 422, false}, {problem.ErrTooLarge, 413, false},
		{problem.ErrStale, 412, false}, {problem.ErrNoMatch, 428, false}, {problem.ErrMethod, 405, false},
		{problem.ErrNotFound, 404, false}, {problem.ErrNoEvents, 404, false}, {problem.ErrBadEvents, 400, false},
		{problem.ErrManyEvents, 409, false}, {problem.ErrBadJSON, 400, false}, {problem.ErrRead, 400, false},
		{problem.ErrTooManyAsks, 429, true}, {problem.ErrTooManyCaptions, 429, true}, {media.ErrBadQuery, 400, false}, {problem.ErrTooManyStarts, 429, true}, {problem.ErrTooManyGuesses, 429, true},
	} {
		wrapped := fmt.Errorf("do it: %w: and why", c.err)
		p := problem.For(wrapped)
		if p.Status != c.status || (p.Retry > 0) != c.retry || p.Detail != wrapped.Error() || p.Title == "" {
			t.Errorf("%v: got %+v", c.err, p)
		}
		if other := types[p.Type]; other != nil || !strings.HasPrefix(p.Type, "urn:sluice:problem:") {
			t.Errorf("%v has the type %q of %v", c.err, p.Type, other)
		}
		types[p.Type] = c.err
	}
}

func TestUnknownErrorsTellNothing(t *testing.T) {
	p := problem.For(errors.New("open /etc/secret: password hunter2"))
	if p.Status != 500 || strings.Contains(p.Detail+p.Title, "hunter2") {
		t.Errorf("got %+v", p)
	}
}

func TestRedirectIs307WithItsLocation(t *testing.T) {
	p := problem.For(fmt.Errorf("publish: %w", &media.RedirectError{Location: "https://b.example/whip/x"}))
	if p.Status != 307 || p.Location != "https://b.example/whip/x" {
		t.Errorf("got %+v", p)
	}
}

func TestWaitLengthensTheRetry(t *testing.T) {
	p := problem.For(&problem.Wait{Err: problem.ErrTooManyGuesses, After: 6 * time.Second})
	if p.Status != 429 || p.Retry != 6*time.Second {
		t.Errorf("got %+v", p)
	}
	if p := problem.For(&problem.Wait{Err: problem.ErrTooManyAsks, After: time.Millisecond}); p.Retry != time.Second {
		t.Errorf("less than the usual second: %v", p.Retry)
	}
}

func TestTimeoutIs503(t *testing.T) {
	if p := problem.For(fmt.Errorf("pull: %w", context.DeadlineExceeded)); p.Status != 503 || p.Retry == 0 {
		t.Errorf("got %+v", p)
	}
}
