package main

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/token"
)

const (
	// firstStream is the stream of the first links.
	firstStream = "live"
	// firstTTL is how long the first links count: long enough to try, and to show.
	firstTTL = 30 * 24 * time.Hour
)

// welcome prints what a first user needs: three links that work.
func (h *house) welcome(w io.Writer) error {
	pattern := []media.Pattern{firstStream}
	// The publish page shows what the server says of the stream: it may play it too.
	publish, err := h.tokens.Issue(token.Claims{Publish: pattern, Play: pattern}, firstTTL)
	if err != nil {
		return err
	}
	play, err := h.tokens.Issue(token.Claims{Play: pattern}, firstTTL)
	if err != nil {
		return err
	}
	base := h.base()
	fmt.Fprintf(w, `
Welcome to Sluice. This is the first start; %s now holds this node's keys.
These links are good for 30 days. They are shown once; 'sluice token' makes others.

Publish from a browser
  %s/publish/%s#token=%s

Watch
  %s/watch/%s#token=%s

OBS: Settings, Stream, Service WHIP
  Server        %s/whip/%s
  Bearer Token  %s

`, h.cfg.Data, base, firstStream, publish, base, firstStream, play, base, firstStream, publish)
	if others := privateAddresses(); len(others) > 0 && strings.Contains(base, "//localhost") {
		fmt.Fprintf(w, "From another machine put %s in the place of localhost. ", others[0])
		if h.cfg.HTTPS == "" {
			fmt.Fprint(w, "Browsers give pages a\ncamera only on localhost or https: add --https :8443 to publish from there.")
		}
		fmt.Fprint(w, "\n\n")
	}
	return nil
}

// base is the address of the pages as a first user would type it.
func (h *house) base() string {
	scheme, name := "http", "http"
	if h.cfg.HTTP == "" {
		scheme, name = "https", "https"
	}
	host, port := "localhost", ""
	if len(h.cfg.Public) > 0 {
		host = h.cfg.Public[0].String()
	}
	for _, s := range h.servers {
		if s.Name != name {
			continue
		}
		addr := netip.MustParseAddrPort(s.Addr().String())
		port = strconv.Itoa(int(addr.Port()))
		if !addr.Addr().IsUnspecified() && !addr.Addr().IsLoopback() {
			host = addr.Addr().String()
		}
	}
	// A real certificate is for a name that only its owner knows; an address of
	// ours would not fit it, localhost at least is understood.
	return scheme + "://" + net.JoinHostPort(host, cmp.Or(port, "8080"))
}

// privateAddresses are this machine's addresses in its own network.
func privateAddresses() []netip.Addr {
	var out []netip.Addr
	list, err := net.InterfaceAddrs()
	if err != nil {
		return nil // links with localhost are better than none
	}
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Is4() && p.Addr().IsPrivate() {
			out = append(out, p.Addr())
		}
	}
	return out
}
