package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
)

// SecretHeader carries the secret by which an origin knows its edges.
const SecretHeader = "Sluice-Edge" //nolint:gosec // a header's name

// checks is what stands there without a secret: the origin is told all the same that
// tokens are looked at here, and that what they open may be kept.
const checks = "checks-tokens"

// Leave is what a token allows for one name.
type Leave struct {
	// Subject names the token in the log and in the list of revoked ones: its jti.
	Subject string
	// Expires is when the token ceases to count.
	Expires time.Time
}

// Ask is what a token should open: a stream, or an asset when Live is false.
type Ask struct {
	Token  string
	Live   bool
	Name   string
	Remote netip.Addr // of the client
}

// Authorize tells whether a token opens a name: media.ErrUnauthorized and
// media.ErrForbidden refuse; ErrUnsure leaves it to the origin.
type Authorize func(ctx context.Context, a Ask) (Leave, error)

// ErrUnsure says that only the origin can tell.
var ErrUnsure = errors.New("only the origin can tell")

// Config says whom an edge asks, and how much it keeps.
type Config struct {
	// Origins are base addresses, the preferred one first. One may be another edge.
	Origins []string
	// Secret, when set, is sent to origins as SecretHeader.
	Secret string
	// EdgesOnly refuses who does not send the secret: this edge is a shield for others.
	EdgesOnly bool
	// Size bounds what is kept in memory, and again what is on its way, in bytes.
	Size int64
	// Object bounds what is kept of one answer, in bytes; larger ones are passed on.
	Object int64
	// Disk is a folder for what is kept beside memory, segments alone; empty: there is
	// none. DiskSize bounds it, in bytes.
	Disk     string
	DiskSize int64
	// Clients and Fetches bound requests that are answered and that wait for an
	// origin, at once. Who comes beyond gets 503, and one address earlier than others
	// when it is the origin that it waits for (places).
	Clients, Fetches int
	// Timeout is how long an origin may take to begin an answer: longer than the
	// three target durations for which it may block (RFC 8216bis 6.2.5.2).
	Timeout time.Duration
	// Hedge is how long an origin may take to begin an answer before the next one is
	// asked as well.
	Hedge time.Duration
	// Stall is how long a body, or a client, may stand still.
	Stall time.Duration
	// Limits bound what origins say about lifetimes.
	Limits cache.Limits
	// Authorize checks tokens here; nil: the origin is asked, once per token, name
	// and minute.
	Authorize Authorize
	// Revoked is the address or file of a list of subjects that count no longer, one
	// per line; it is read each RevokedEvery.
	Revoked      string
	RevokedEvery time.Duration
	// Pass are beginnings of paths, "/v1/", that are handed through to an origin and back:
	// not kept, text packed.
	Pass []string
	// Pathways are the edges that players may go to instead (content steering).
	Pathways []Pathway
	// Transport reaches the origins; nil takes one of its own.
	Transport http.RoundTripper
	// Record is told about each request when it is over; nil: nobody.
	Record func(Record)
	// Logger is told what an operator should know; nil is silent.
	Logger *slog.Logger
	// Metrics takes the edge's metrics; nil: nobody.
	Metrics prometheus.Registerer
}

// DefaultConfig fits a small site and a target duration of 6 s.
func DefaultConfig() Config {
	return Config{
		Size: 1 << 30,
		// A segment of 10 s at 20 Mbit/s has 25 MB.
		Object:   64 << 20,
		DiskSize: 10 << 30,
		Clients:  20000,
		// Each playlist and each hinted part that somebody waits for is one.
		Fetches: 4096,
		Timeout: 30 * time.Second,
		// Parts come each second at the latest.
		Hedge:        time.Second,
		Stall:        30 * time.Second,
		Limits:       cache.DefaultLimits(),
		RevokedEvery: 10 * time.Second,
	}
}

// Validate says what is wrong with the settings.
func (c Config) Validate() error {
	if len(c.Origins) == 0 {
		return errors.New("read edge settings: no origin is named")
	}
	for _, o := range c.Origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Path != "" && u.Path != "/" {
			return fmt.Errorf("read edge settings: the origin must be http:// or https:// and a host, with nothing after it, not %q", o)
		}
	}
	if c.Size < 1<<20 || c.Object <= 0 || c.Object > c.Size {
		return errors.New("read edge settings: size must be at least 1 MiB, and an object at most as large")
	}
	if c.Disk != "" && c.DiskSize < 1<<20 {
		return errors.New("read edge settings: the disk cache must have at least 1 MiB")
	}
	if c.Clients <= 0 || c.Fetches <= 0 || c.Timeout <= 0 || c.Hedge <= 0 || c.Stall <= 0 || c.RevokedEvery <= 0 {
		return errors.New("read edge settings: bounds and times must be positive")
	}
	if c.EdgesOnly && c.Secret == "" {
		return errors.New("read edge settings: to answer edges only, there must be a secret by which they are known")
	}
	for _, p := range c.Pathways {
		if err := p.validate(); err != nil {
			return err
		}
	}
	return validatePass(c.Pass)
}
