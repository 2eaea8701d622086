package signaling

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Remote is the client's address: the peer of the connection, or what trusted
// proxies say of it. From the right of X-Forwarded-For, each trusted proxy
// vouches for the entry before it; what is left of the first stranger is hearsay.
func Remote(r *http.Request, trusted []netip.Prefix) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	at := ap.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !within(trusted, at) {
			break
		}
		next, err := hopAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		at = next
	}
	return at
}

// hopAddr reads an entry, which some proxies write with a port.
func hopAddr(s string) (netip.Addr, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap(), nil
	}
	a, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return a.Unmap(), err
}

func within(nets []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(nets, func(p netip.Prefix) bool { return p.Contains(a.WithZone("")) })
}

// arrived is the local address that the request came in on; the media plane
// announces it first when it was told no other.
func arrived(r *http.Request) netip.Addr {
	a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return netip.Addr{}
	}
	ap, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.Addr{}
	}
	return ap.Addr().Unmap()
}
