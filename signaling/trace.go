package signaling

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strings"

	"github.com/sluice-live/sluice/media"
)

type traceKey struct{}

// Trace returns the identifier of the request or session that a context belongs
// to, or "". A session keeps that of its POST until it ends.
func Trace(ctx context.Context) string {
	t, _ := ctx.Value(traceKey{}).(string)
	return t
}

func withTrace(ctx context.Context, trace string) context.Context {
	return context.WithValue(ctx, traceKey{}, trace)
}

// newTrace is 80 random bits: unique over all nodes for longer than logs live.
func newTrace() string { return strings.ToLower(rand.Text()[:16]) }

// LogHandler adds trace=… to each record whose context has a trace.
func LogHandler(next slog.Handler) slog.Handler { return traced{next} }

type traced struct{ slog.Handler }

// Handle adds the trace and hands the record on.
func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if t := Trace(ctx); t != "" {
		r = r.Clone()
		r.AddAttrs(slog.String("trace", t))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs keeps the trace in derived handlers.
func (h traced) WithAttrs(a []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(a)} }

// WithGroup keeps the trace in derived handlers.
func (h traced) WithGroup(name string) slog.Handler { return traced{h.Handler.WithGroup(name)} }

// short names a session in the log: enough to tell sessions apart, too little
// to act on one, as a session's URL is a secret.
func short(id media.SessionID) string { return string(id[:min(len(id), 12)]) }
