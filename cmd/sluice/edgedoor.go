package main

import (
	"net"
	"net/http"

	"github.com/sluice-live/sluice/cmd/sluice/front"
	"github.com/sluice-live/sluice/hls-fallback/edge"
)

// edgeDoor answers probes itself, and hands all else to the edge.
type edgeDoor struct {
	health *front.Health
	edge   *edge.Edge
	// secure is the port with TLS to which who comes without is sent; empty: all are
	// answered.
	secure string
	// hsts tells browsers to come with TLS from now on.
	hsts bool
}

// hstsFor is a year, as on nodes.
const hstsFor = "max-age=31536000"

func (d *edgeDoor) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if r.TLS != nil && d.hsts {
			w.Header().Set("Strict-Transport-Security", hstsFor)
		}
		switch {
		case d.health.Route(w, r):
		case r.TLS == nil && d.secure != "":
			d.elsewhere(w, r)
		default:
			d.edge.ServeHTTP(w, r)
		}
	})
}

// elsewhere sends to the address with TLS, by a status that keeps method and body
// (RFC 9110 section 15.4.9). A player keeps the address that it is sent to.
func (d *edgeDoor) elsewhere(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
		if net.ParseIP(h) != nil && net.ParseIP(h).To4() == nil {
			host = "[" + h + "]"
		}
	}
	if d.secure != "443" {
		host += ":" + d.secure
	}
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	http.Redirect(w, r, "https://"+host+r.URL.RequestURI(), http.StatusPermanentRedirect) //nolint:gosec // the host that the client came to
}
