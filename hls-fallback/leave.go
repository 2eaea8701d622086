package hlsfallback

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
)

// cookieName is the cookie that carries a token where a player cannot.
const cookieName = "sluice_play"

// maxToken is the longest token, in bytes: browsers keep no longer cookies.
const maxToken = 4 << 10

// leaveLasts is how long a decision is kept: a viewer asks several times a second,
// and checking a signature costs as much as all the rest. A revoked token plays on
// for so long.
const leaveLasts = 5 * time.Second

// maxLeave bounds the decisions that are kept; the oldest half goes when it is full.
const maxLeave = 8192

// leave remembers who may play what.
type leave struct {
	ask  func(ctx context.Context, a Ask) error
	mu   sync.Mutex
	kept map[Ask]decision
	last map[Ask]decision // of the time before: both are looked into
}

type decision struct {
	err   error
	until time.Time
}

func newLeave(ask func(ctx context.Context, a Ask) error) *leave {
	return &leave{ask: ask, kept: make(map[Ask]decision)}
}

// check decides, or remembers.
func (l *leave) check(ctx context.Context, a Ask, now time.Time) error {
	if l.ask == nil {
		return nil
	}
	l.mu.Lock()
	d, ok := l.kept[a]
	if !ok {
		d, ok = l.last[a]
	}
	l.mu.Unlock()
	if ok && now.Before(d.until) {
		return d.err
	}
	d = decision{l.ask(ctx, a), now.Add(leaveLasts)}
	if d.err != nil && !errors.Is(d.err, media.ErrUnauthorized) && !errors.Is(d.err, media.ErrForbidden) {
		return d.err // something is broken: the next one asks again
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.kept) >= maxLeave/2 {
		l.last, l.kept = l.kept, make(map[Ask]decision)
	}
	l.kept[a] = d
	return d.err
}

// admit decides on a request. own tells that the answer is for who asks alone: without
// the token it would be refused, and who asks is no cache that looks at tokens itself.
func (s *Server) admit(r *http.Request, v *visit) (own bool, err error) {
	if s.parts.Authorize == nil {
		return false, nil
	}
	rt, token := v.route, v.q.Token
	if token == "" {
		token = carried(r)
	}
	if len(token) > maxToken {
		return false, media.ErrUnauthorized
	}
	now := time.Now()
	_, err = Verify(s.cfg.Keys, token, Grant{Videos: rt.videos, Name: rt.name, Remote: v.who}, now)
	if errors.Is(err, ErrForeign) {
		err = s.leave.check(r.Context(), Ask{rt.videos, rt.name, token}, now)
	}
	if token != "" && (errors.Is(err, media.ErrUnauthorized) || errors.Is(err, media.ErrForbidden)) {
		// What is for everybody is also for who holds a token that has expired, or is
		// for something else: browsers send old cookies.
		if s.open(r, rt, now) {
			return false, nil
		}
	}
	if err != nil {
		s.metrics.refused.WithLabelValues("leave").Inc()
		return false, err
	}
	// What has no token in its links is not kept where it would have some, whoever looks
	// at tokens.
	checks := s.parts.Checks != nil && s.parts.Checks(r) && !v.q.Unfilled
	return token != "" && !checks && !s.open(r, rt, now), nil
}

// open reports whether everybody may have it.
func (s *Server) open(r *http.Request, rt *route, now time.Time) bool {
	return s.leave.check(r.Context(), Ask{Videos: rt.videos, Name: rt.name}, now) == nil
}

// narrow keeps shared caches from an answer, and leaves the life that it has with the
// one who asked: by a cookie or a header of somebody's, a cache that does not look at
// tokens would have it for everybody (RFC 9111 section 5.2.2.7).
func narrow(h http.Header) {
	lines := h["Cache-Control"]
	if len(lines) == 0 || lines[0] == "no-store" {
		return
	}
	own := "private"
	for d := range strings.SplitSeq(lines[0], ",") {
		if d = strings.TrimSpace(d); d != "public" && d != "private" && !strings.HasPrefix(d, "s-maxage=") {
			own += ", " + d
		}
	}
	h["Cache-Control"] = []string{own}
}

// carried is the token of the header, or of the cookie.
func carried(r *http.Request) string {
	if scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	if r.Header["Cookie"] == nil {
		return ""
	}
	if c, err := r.Cookie(cookieName); err == nil {
		return c.Value
	}
	return ""
}

// remote is the address of who asks.
func (s *Server) remote(r *http.Request) netip.Addr {
	if s.parts.Remote != nil {
		return s.parts.Remote(r).Unmap()
	}
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return a.Addr().Unmap()
}

// remember gives who came with a token a cookie, for players that ask for playlists
// and media without it. The answer is then for one person, and no shared cache may
// keep it.
func (s *Server) remember(w http.ResponseWriter, r *http.Request, rt *route, token string) bool {
	if token == "" {
		if scheme, bearer, _ := strings.Cut(r.Header.Get("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
			token = strings.TrimSpace(bearer)
		}
	}
	if s.parts.Authorize == nil || token == "" || !plain(token) {
		return false
	}
	path := "/live/"
	if rt.videos {
		path = "/videos/"
	}
	c := http.Cookie{Name: cookieName, Value: token, Path: path + rt.name + "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}
	if r.TLS != nil || s.cfg.HTTPS {
		// A player on another site's page sends it only so, and browsers want Secure
		// with it.
		c.Secure, c.SameSite = true, http.SameSiteNoneMode
	}
	http.SetCookie(w, &c)
	return true
}

// plain reports whether a token can stand in a cookie as it is: JWTs and signed
// tokens can.
func plain(token string) bool {
	for i := range len(token) {
		c := token[i]
		if c <= ' ' || c >= 0x7f || c == '"' || c == ',' || c == ';' || c == '\\' {
			return false
		}
	}
	return true
}
