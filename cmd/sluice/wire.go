package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sluice-live/sluice/clients"
	"github.com/sluice-live/sluice/cmd/sluice/config"
	"github.com/sluice-live/sluice/cmd/sluice/front"
	"github.com/sluice-live/sluice/internal/claims"
	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder"
	"github.com/sluice-live/sluice/sfu"
	"github.com/sluice-live/sluice/sfu/turn"
	"github.com/sluice-live/sluice/signaling"
	"github.com/sluice-live/sluice/signaling/token"
)

// What the rooms ask of each other, and who gives it.
var (
	_ sfu.Claims           = (*claims.Claims)(nil)
	_ turn.Media           = (*sfu.SFU)(nil)
	_ signaling.Sessions   = (*sfu.SFU)(nil)
	_ signaling.Views      = (*sfu.SFU)(nil)
	_ signaling.Authorizer = (*token.Tokens)(nil)
	_ signaling.Captions   = (*recorder.Recorder)(nil)
)

// house is the rooms of one node, introduced to each other.
type house struct {
	cfg       config.Config
	log       *slog.Logger
	data      *data
	health    *front.Health
	registry  *prometheus.Registry
	tokens    *token.Tokens
	sfu       *sfu.SFU
	turn      *turn.Server // nil when off
	signaling *signaling.Server
	passing   *passing // nil when captions stay here
	cert      *front.Certificate
	servers   []*front.Server
	packaging
}

// build makes every room and opens every port; nothing runs yet. What was
// opened before an error is closed again.
func build(cfg config.Config, log *slog.Logger) (*house, error) {
	d, err := openData(cfg.Data)
	if err != nil {
		return nil, err
	}
	h := &house{cfg: cfg, log: log, data: d, health: &front.Health{}, registry: prometheus.NewRegistry()}
	h.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	steps := []func() error{h.openTokens, h.openCertificate, h.openMedia, h.openPackaging, h.openTurn, h.openSignaling, h.openMain, h.openAdmin}
	for _, step := range steps {
		if err := step(); err != nil {
			h.abandon()
			return nil, err
		}
	}
	return h, nil
}

// abandon closes a house that never ran.
func (h *house) abandon() {
	for _, s := range h.servers {
		s.Close()
	}
	if h.turn != nil {
		h.turn.Close()
	}
	if h.sfu != nil {
		// Its port closes at the end of Run, which ends at once with this context.
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = h.sfu.Run(ctx) // the error that matters is the one that brought us here
	}
	_ = h.packaging.close() // likewise
	h.data.close()
}

func (h *house) openTokens() (err error) {
	cfg := token.DefaultConfig()
	cfg.Dir, cfg.Logger = h.cfg.Data, h.log
	cfg.JWKS.URL, cfg.JWKS.Issuer, cfg.JWKS.Private = h.cfg.Tokens.JWKSURL, h.cfg.Tokens.JWKSIssuer, h.cfg.Tokens.JWKSPrivate
	h.tokens, err = token.Open(cfg)
	return explainData(h.cfg.Data, err)
}

// openCertificate opens the configured certificate, or the node's own, which
// exists also without https: it is the node's name among nodes.
func (h *house) openCertificate() (err error) {
	cert, key := h.cfg.TLS.Cert, h.cfg.TLS.Key
	ownCert, ownKey, err := front.OwnCertificate(h.cfg.Data, h.names(), time.Now())
	if err != nil {
		return explainData(h.cfg.Data, err)
	}
	if cert == "" {
		cert, key = ownCert, ownKey
	}
	h.cert, err = front.OpenCertificate(cert, key, h.log)
	return err
}

// names are what the node's own certificate is valid for.
func (h *house) names() []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil && host != "" && host != "localhost" {
		names = append(names, host)
	}
	for _, ip := range h.cfg.Public {
		names = append(names, ip.String())
	}
	for _, ip := range privateAddresses() {
		names = append(names, ip.String())
	}
	return names
}

func (h *house) openMedia() error {
	epochs, err := claims.Open(h.cfg.Data)
	if err != nil {
		return explainData(h.cfg.Data, err)
	}
	h.sfu, err = sfu.New(sfu.Config{
		Media:       h.cfg.Media,
		Portable:    h.cfg.MediaPortable,
		Carrier:     sfu.Carrier(h.cfg.MediaTransport),
		Public:      h.cfg.Public,
		Policy:      h.cfg.Policy,
		Claims:      epochs,
		Log:         h.log,
		Metrics:     h.registry,
		MaxSessions: h.cfg.Limits.Sessions,
		// signaling is made after the sfu; nothing runs before both are there.
		Ended: func(id media.SessionID, why error) { h.signaling.Ended(id, why) },
		Channel: func(ctx context.Context, id media.StreamID, label string, send func([]byte) error) {
			h.signaling.Channel(ctx, id, label, send)
		},
		// So is the recorder.
		Published: func(id media.StreamID) { h.recorder.Published(id) },
	})
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("listen on %s (media): another program has this port; stop it, or choose another with --media: %w", h.cfg.Media, syscall.EADDRINUSE)
	}
	return err
}

func (h *house) openSignaling() (err error) {
	cfg := signaling.DefaultConfig()
	cfg.Tag, cfg.Strict, cfg.Version, cfg.HTTPS = h.data.tag, h.cfg.WHIP.Strict, version(), h.cfg.HTTPS != ""
	for _, s := range h.cfg.ICEServers {
		for _, url := range s.URLs {
			cfg.ICE = append(cfg.ICE, signaling.ICEServer{URL: url, Username: s.Username, Credential: s.Credential})
		}
	}
	l := h.cfg.Limits
	cfg.Limits.Requests, cfg.Limits.RequestsBurst = l.RequestsPerSecond, l.RequestsBurst
	cfg.Limits.Publishes, cfg.Limits.FailedLogins = l.PublishesPerSecond, l.FailedAuthPerMinute
	cfg.Limits.TrustedProxies = l.TrustedProxies
	parts := signaling.Parts{
		Sessions: h.sfu, Views: h.sfu, Authorizer: h.tokens, Policy: h.cfg.Policy, Relays: h.relays(), Captions: h.recorder,
		Logger: h.log, Registerer: h.registry,
	}
	if len(h.cfg.HLS.CaptionsTo) > 0 {
		h.passing = newPassing(h.cfg.HLS.CaptionsTo, h.log)
		parts.PassOn = h.passing.on
	}
	h.signaling, err = signaling.New(cfg, parts)
	return err
}

// edges is the door to playlists and media.
func (h *house) edges() edges {
	e := edges{cfg: h.cfg.HLS, proxies: h.cfg.Limits.TrustedProxies}
	if h.origin != nil {
		e.origin = h.origin.Handler()
	}
	return e
}

// openMain opens http and https, which serve the same.
func (h *house) openMain() error {
	door := &front.Door{
		Signaling: h.signaling.Handler(),
		Origin:    h.edges(),
		Catalogue: h.vod.Handler(),
		Pages:     clients.Handler(),
		Health:    h.health,
		Log:       h.log,
		HSTS:      h.cfg.TLS.Cert != "",
	}
	if err := h.listen("http", h.cfg.HTTP, door, nil); err != nil {
		return err
	}
	return h.listen("https", h.cfg.HTTPS, door, h.cert.TLS())
}

func (h *house) openAdmin() error {
	host, _, _ := net.SplitHostPort(h.cfg.Admin) // validated with the configuration
	admin := &front.Admin{
		Health:   h.health,
		Gatherer: h.registry,
		Host:     host,
		Authorize: func(text string) bool {
			_, err := h.tokens.Authorize(context.Background(), token.Request{Action: token.Admin, Token: text})
			return err == nil
		},
	}
	return h.listen("admin", h.cfg.Admin, admin.Handler(), nil)
}

// listen opens one address; an empty one is turned off.
func (h *house) listen(name, addr string, handler http.Handler, secure *tls.Config) error {
	if addr == "" {
		return nil
	}
	s, err := front.Listen(name, addr, handler, secure, h.log)
	if err != nil {
		return err
	}
	h.servers = append(h.servers, s)
	return nil
}
