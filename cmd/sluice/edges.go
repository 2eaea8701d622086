package main

import (
	"crypto/subtle"
	"net/http"
	"net/netip"

	"github.com/sluice-live/sluice/cmd/sluice/config"
	"github.com/sluice-live/sluice/hls-fallback/edge"
	"github.com/sluice-live/sluice/signaling"
)

// edges stands before the origin and knows the caches in front of it by a secret.
type edges struct {
	cfg     config.HLS
	proxies []netip.Prefix // whose word counts, too
	origin  http.Handler
}

// ServeHTTP refuses who is no edge, where only edges are served. Nothing else of
// the node is behind it.
func (e edges) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if e.cfg.EdgesOnly && !e.known(r) {
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "media is given to edges only: ask the address that you were given", http.StatusForbidden)
		return
	}
	e.origin.ServeHTTP(w, r)
}

func (e edges) known(r *http.Request) bool {
	given := r.Header.Get(edge.SecretHeader)
	return e.cfg.EdgeSecret != "" && subtle.ConstantTimeCompare([]byte(given), []byte(e.cfg.EdgeSecret)) == 1
}

// checks reports whether a request comes from a cache that looks at tokens itself. It
// says so with the header; where there is a secret, that is what it has to say.
// Whoever lies about it could hand on as well what the token opens.
func (e edges) checks(r *http.Request) bool {
	return e.known(r) || e.cfg.EdgeSecret == "" && r.Header.Get(edge.SecretHeader) != ""
}

// remote is who asks: the one that a known edge names, else the other end, or whom a
// trusted proxy names.
func (e edges) remote(r *http.Request) netip.Addr {
	if e.known(r) {
		if a, err := netip.ParseAddr(r.Header.Get("X-Forwarded-For")); err == nil {
			return a.Unmap()
		}
	}
	return signaling.Remote(r, e.proxies)
}
