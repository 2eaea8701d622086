package edge

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
	"github.com/sluice-live/sluice/media"
)

const (
	// maxToken bounds a token, in bytes; ours have about 300.
	maxToken = 8 << 10
	// Cookie is the name of the cookie that carries a token.
	Cookie = "sluice_play"
	// leaveFor is how long a verdict about a token is kept; it ends earlier when
	// the token expires or is revoked.
	leaveFor = time.Minute
	// refusalFor is how long a refusal by the origin is kept: a browser that asks
	// again and again shall not reach it.
	refusalFor = 5 * time.Second
	// leavesSize bounds what is known about tokens, in bytes: some 50,000.
	leavesSize = 64 << 20
	// maxRevoked bounds the list of revoked tokens, in bytes: a million.
	maxRevoked = 32 << 20
)

// verdict is what was found out about a token for one name.
type verdict struct {
	leave Leave
	err   error
}

// identify finds the token, in the order in which the origin does.
func (q *request) identify() {
	scheme, bearer, _ := strings.Cut(q.r.Header.Get("Authorization"), " ")
	bearer = strings.TrimSpace(bearer)
	cookie, err := q.r.Cookie(Cookie)
	switch {
	case q.target.Token != "":
		q.access, q.token = cache.InQuery, q.target.Token
	case strings.EqualFold(scheme, "Bearer") && bearer != "":
		q.access, q.token, q.bearer = cache.InHeader, bearer, true
	case err == nil && cookie.Value != "":
		q.access, q.token = cache.InHeader, cookie.Value
	default:
		q.access = cache.Anonymous
	}
	q.remote = remote(q.r)
	if q.trusted {
		if a, err := netip.ParseAddr(q.r.Header.Get("X-Forwarded-For")); err == nil {
			q.remote = a.Unmap() // another edge says for whom it asks
		}
	}
}

func remote(r *http.Request) netip.Addr {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// knows reports whether a request comes from another edge that has the secret.
func (e *Edge) knows(r *http.Request) bool {
	given := r.Header.Get(SecretHeader)
	return e.cfg.Secret != "" && subtle.ConstantTimeCompare([]byte(given), []byte(e.cfg.Secret)) == 1
}

// shares reports whether who asks looks at tokens itself, and may keep for others what
// they open: another edge.
func (e *Edge) shares(q *request) bool {
	return q.access == cache.Anonymous || q.trusted || e.cfg.Secret == "" && q.r.Header.Get(SecretHeader) != ""
}

// narrow keeps caches that do not look at tokens from an answer.
func narrow(h http.Header) {
	own := "private"
	for d := range strings.SplitSeq(h.Get("Cache-Control"), ",") {
		if d = strings.TrimSpace(d); d != "" && d != "public" && d != "private" && !strings.HasPrefix(d, "s-maxage=") {
			own += ", " + d
		}
	}
	h.Set("Cache-Control", own)
}

// credentials are the headers by which the origin knows who asks.
func (q *request) credentials() http.Header {
	h := make(http.Header)
	if q.remote.IsValid() {
		h.Set("X-Forwarded-For", q.remote.String())
	}
	switch {
	case q.access != cache.InHeader:
	case q.bearer:
		h.Set("Authorization", "Bearer "+q.token)
	default:
		h.Set("Cookie", Cookie+"="+q.token)
	}
	return h
}

// admit refuses tokens that do not open what is asked for. Without a token the
// origin decides, and what it gives is public.
func (e *Edge) admit(q *request) bool {
	if q.access == cache.Anonymous {
		return true
	}
	leave, err := e.leaveOf(q)
	q.record.Subject = leave.Subject
	if err == nil && e.isRevoked(leave.Subject) {
		err = fmt.Errorf("%w: it was revoked", media.ErrUnauthorized)
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, media.ErrForbidden):
		q.record.Result = Refused
		q.refuse(http.StatusForbidden, err.Error())
	case errors.Is(err, media.ErrUnauthorized):
		q.record.Result = Refused
		q.w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		q.refuse(http.StatusUnauthorized, err.Error())
	default:
		e.failed(q, err)
	}
	return false
}

// leaveOf finds out what a token allows, once in a while.
func (e *Edge) leaveOf(q *request) (Leave, error) {
	if len(q.token) > maxToken {
		return Leave{}, fmt.Errorf("%w: it has more than %d bytes", media.ErrUnauthorized, maxToken)
	}
	ask := Ask{Token: q.token, Live: q.target.Live, Name: q.target.Name, Remote: q.remote}
	sum := sha256.Sum256([]byte(q.token))
	key := fmt.Sprintf("%s%t %s %s", sum, ask.Live, ask.Name, ask.Remote)
	now := time.Now()
	e.mu.Lock()
	v, ok := e.leaves.Find(key, now)
	e.mu.Unlock()
	if ok {
		return v.leave, v.err
	}
	v, keep := e.judge(q, ask, now)
	if keep > 0 {
		e.mu.Lock()
		e.leaves.Put(key, v, int64(len(v.leave.Subject)), now.Add(keep))
		e.mu.Unlock()
	}
	return v.leave, v.err
}

// judge checks a token here, or has the origin do it, and says how long the
// verdict holds.
func (e *Edge) judge(q *request, ask Ask, now time.Time) (v verdict, keep time.Duration) {
	v.err = ErrUnsure
	if e.cfg.Authorize != nil {
		v.leave, v.err = e.cfg.Authorize(q.r.Context(), ask)
	}
	if errors.Is(v.err, ErrUnsure) {
		v.err = e.inquire(q)
		if v.err != nil {
			return v, refusalFor
		}
	}
	if v.err != nil {
		return v, 0 // it costs less to find out anew than to remember
	}
	keep = leaveFor
	if !v.leave.Expires.IsZero() {
		keep = min(keep, v.leave.Expires.Sub(now))
	}
	return v, keep
}

// inquire asks the origin whether a token opens the stream or asset: it does if
// the multivariant playlist may be had with it.
func (e *Edge) inquire(q *request) error {
	t := q.target
	t.Path, t.Query = "/videos/"+t.Name+"/index.m3u8", ""
	if t.Live {
		t.Path = "/live/" + t.Name + "/index.m3u8"
	}
	e.mu.Lock()
	order := e.origins.Order(time.Now())
	e.mu.Unlock()
	err := errOrigin
	for _, i := range order {
		var resp *http.Response
		resp, err = e.ask(q.r.Context(), question{target: t, access: q.access, token: q.token, header: q.credentials()}, i)
		e.judged(i, err)
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusUnauthorized:
			return media.ErrUnauthorized
		case http.StatusForbidden:
			return media.ErrForbidden
		case http.StatusOK, http.StatusNotFound:
			return nil // what is not there yet may be asked for
		}
		err = errOrigin
	}
	return err
}

func (e *Edge) isRevoked(subject string) bool {
	list := e.revoked.Load()
	return list != nil && (*list)[subject]
}

// pullRevoked reads the list of subjects that count no longer.
func (e *Edge) pullRevoked(ctx context.Context) error {
	r, err := e.openRevoked(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	list := make(map[string]bool)
	limited := &io.LimitedReader{R: r, N: maxRevoked}
	lines := bufio.NewScanner(limited)
	for lines.Scan() {
		if text := strings.TrimSpace(lines.Text()); text != "" && !strings.HasPrefix(text, "#") {
			list[text] = true
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the revoked tokens: %w", err)
	}
	if limited.N == 0 {
		return fmt.Errorf("read the revoked tokens: more than %d bytes", maxRevoked)
	}
	e.revoked.Store(&list)
	return nil
}

func (e *Edge) openRevoked(ctx context.Context) (io.ReadCloser, error) {
	from := e.cfg.Revoked
	if !strings.HasPrefix(from, "http://") && !strings.HasPrefix(from, "https://") {
		f, err := os.Open(from)
		if err != nil {
			return nil, fmt.Errorf("open the revoked tokens: %w", err)
		}
		return f, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, fmt.Errorf("ask for the revoked tokens: %w", err)
	}
	if e.cfg.Secret != "" {
		req.Header.Set(SecretHeader, e.cfg.Secret)
	}
	client := *e.client
	client.Timeout = e.cfg.Timeout
	resp, err := client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask for the revoked tokens: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("ask for the revoked tokens: status %s", resp.Status)
	}
	return resp.Body, nil
}
