package token

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
	"golang.org/x/time/rate"
)

// publicMethods are the algorithms by which a provider's tokens may be signed.
var publicMethods = []string{
	"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
}

// provider keeps the published keys of an identity provider.
type provider struct {
	cfg     JWKS
	log     *slog.Logger
	client  *http.Client
	limiter *rate.Limiter
	ask     chan struct{}                 // one waits: a fetch is wanted before its time
	keys    atomic.Pointer[published]     // nil until the first fetch
	fetched atomic.Pointer[chan struct{}] // closed and replaced after each fetch
}

type published struct{ keyfunc.Keyfunc }

// early is how often unknown keys may cause a fetch: anybody can name one.
const early = 10 * time.Second

// patience is how long a request waits for a key that may have just come up.
const patience = 3 * time.Second

func newProvider(cfg JWKS, log *slog.Logger) *provider {
	p := &provider{
		cfg: cfg, log: log, client: client(cfg),
		limiter: rate.NewLimiter(rate.Every(early), 1),
		ask:     make(chan struct{}, 1),
	}
	c := make(chan struct{})
	p.fetched.Store(&c)
	return p
}

// key finds the key of a token, and looks for new keys if it is not there.
func (p *provider) key(ctx context.Context, tok *jwt.Token) (any, error) {
	k, err := p.lookup(ctx, tok)
	if err == nil || !p.refreshed(ctx) {
		return k, err
	}
	return p.lookup(ctx, tok)
}

func (p *provider) lookup(ctx context.Context, tok *jwt.Token) (any, error) {
	keys := p.keys.Load()
	if keys == nil {
		return nil, errors.New("the provider's keys have not been fetched yet")
	}
	return keys.KeyfuncCtx(ctx)(tok)
}

// refreshed asks for a fetch and waits for its end; false if it may not ask.
func (p *provider) refreshed(ctx context.Context) bool {
	done := *p.fetched.Load()
	if !p.limiter.Allow() {
		return false
	}
	select {
	case p.ask <- struct{}{}:
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}

// run fetches at once, then regularly and when asked.
func (p *provider) run(ctx context.Context) {
	tick := time.NewTicker(p.cfg.Refresh)
	defer tick.Stop()
	for {
		if err := p.fetch(ctx); err != nil && ctx.Err() == nil {
			p.log.Error("published keys could not be fetched; the old ones stay", "url", p.cfg.URL, "err", err)
		}
		c := make(chan struct{})
		close(*p.fetched.Swap(&c))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-p.ask:
		}
	}
}

func (p *provider) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.cfg.URL, nil)
	if err != nil {
		return fmt.Errorf("ask for keys: %w", err)
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask for keys: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("ask for keys: status %s", resp.Status)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, p.cfg.MaxSize+1))
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	if int64(len(body)) > p.cfg.MaxSize {
		return fmt.Errorf("read keys: more than %d bytes", p.cfg.MaxSize)
	}
	keys, err := keyfunc.NewJWKSetJSON(body)
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	p.keys.Store(&published{keys})
	return nil
}

// client reaches nothing but public addresses over TLS, unless configured. The
// address is looked at after resolution, as it is dialled, so that a name that
// changes its mind (DNS rebinding) gains nothing; no proxy for the same reason.
func client(cfg JWKS) *http.Client {
	dialer := &net.Dialer{Timeout: cfg.Timeout}
	if !cfg.Private {
		dialer.Control = func(_, address string, _ syscall.RawConn) error { return public(address) }
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext:           dialer.DialContext,
			TLSHandshakeTimeout:   cfg.Timeout,
			ResponseHeaderTimeout: cfg.Timeout,
			DisableKeepAlives:     true, // one fetch in minutes
			ForceAttemptHTTP2:     true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Scheme != "https" && !cfg.Private {
				return errors.New("follow a redirect: it leads away from https")
			}
			if len(via) > 3 {
				return errors.New("follow a redirect: there are more than three")
			}
			return nil
		},
	}
}

// shared is the address space of carrier-grade NAT (RFC 6598), which netip
// does not count as private; translated is NAT64 (RFC 6052), behind which any
// IPv4 address may hide.
var (
	shared     = netip.MustParsePrefix("100.64.0.0/10")
	translated = netip.MustParsePrefix("64:ff9b::/96")
)

// public refuses addresses that are not of the public Internet.
func public(address string) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("dial %s: %w", address, err)
	}
	a := ap.Addr().Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() || shared.Contains(a) || translated.Contains(a) {
		return fmt.Errorf("dial %s: it is not a public address", address)
	}
	return nil
}
