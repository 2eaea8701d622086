package front

import (
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Admin answers on the admin address: metrics, profiles and health.
type Admin struct {
	Health   *Health
	Gatherer prometheus.Gatherer
	// Authorize reports whether the token is an administrator's.
	Authorize func(token string) bool
	// Host is the host part of the configured address.
	Host string
}

// Handler guards and routes. It refuses names that it does not know as Host: a
// page from anywhere can make its own name resolve to 127.0.0.1 and read what
// it finds there. Off loopback it wants the admin token, but for health.
func (a *Admin) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(a.Gatherer, promhttp.HandlerOpts{}))
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		switch {
		case !a.knows(r.Host):
			http.Error(w, "this address answers to IP addresses, localhost and its configured name only", http.StatusMisdirectedRequest)
		case r.Header.Get("Sec-Fetch-Site") == "cross-site":
			http.Error(w, "not for other sites' pages", http.StatusForbidden)
		case a.Health.Route(w, r):
		case !a.loopback() && !a.Authorize(bearer(r)):
			w.Header().Set("WWW-Authenticate", `Bearer realm="sluice admin"`)
			http.Error(w, "off loopback this needs the admin token (data/admin.token) as Authorization: Bearer", http.StatusUnauthorized)
		default:
			mux.ServeHTTP(w, r)
		}
	})
}

// knows reports whether a Host header cannot come from a rebound name.
func (a *Admin) knows(hostport string) bool {
	host := hostport
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	return strings.EqualFold(host, "localhost") || a.Host != "" && strings.EqualFold(host, a.Host)
}

// loopback reports whether only this machine can reach the admin address.
func (a *Admin) loopback() bool {
	ip, err := netip.ParseAddr(a.Host)
	if err != nil {
		return strings.EqualFold(a.Host, "localhost")
	}
	return ip.Unmap().IsLoopback()
}

func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
