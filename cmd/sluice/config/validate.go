package config

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/language"
	"github.com/sluice-live/sluice/recorder"
)

// maxHold bounds how long viewers wait for a publisher that left: beyond an
// hour a page that loads again is the better answer.
const maxHold = time.Hour

// Validate returns the first thing that is wrong, in a sentence that names the key.
func (c *Config) Validate() error {
	checks := []func() error{c.checkAddresses, c.checkTLS, c.checkLog, c.checkTokens, c.checkICE, c.checkLimits, c.checkHLS, c.checkStores, c.checkStreams}
	for _, check := range checks {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

func (c *Config) checkAddresses() error {
	if c.HTTP == "" && c.HTTPS == "" {
		return errors.New("http and https are both off: one of them must be set")
	}
	for _, a := range []struct{ key, addr string }{{"http", c.HTTP}, {"https", c.HTTPS}, {"admin", c.Admin}, {"turn", c.Turn}, {"turn_tls", c.TurnTLS}} {
		if a.addr == "" {
			continue
		}
		if err := checkAddress(a.addr); err != nil {
			return fmt.Errorf("%s: %w", a.key, err)
		}
	}
	if err := checkAddress(c.Media); err != nil {
		return fmt.Errorf("media: %w", err)
	}
	if t := c.MediaTransport; t != "auto" && t != "lite" && t != "pion" {
		return fmt.Errorf("media_transport: %q is none of auto, lite and pion", t)
	}
	if strings.ContainsAny(c.TurnHost, " \"<>[]/\\?%\r\n") {
		return fmt.Errorf("turn_host: %q is not the name or the address of a host", c.TurnHost)
	}
	for _, ip := range c.Public {
		if !ip.IsValid() || ip.IsUnspecified() || ip.IsMulticast() {
			return fmt.Errorf("public: %q is not an address that clients can send to", ip)
		}
	}
	for _, peer := range c.Join {
		if err := checkAddress(peer); err != nil || strings.HasPrefix(peer, ":") {
			return fmt.Errorf("join: %q is not HOST:PORT", peer)
		}
	}
	if c.Data == "" {
		return errors.New("data: a directory is needed")
	}
	return nil
}

// checkAddress wants HOST:PORT or :PORT with a number as port.
func checkAddress(addr string) error {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("%q is not HOST:PORT or :PORT", addr)
	}
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Errorf("%q does not end in a port from 0 to 65535", addr)
	}
	return nil
}

func (c *Config) checkTLS() error {
	if (c.TLS.Cert == "") != (c.TLS.Key == "") {
		return errors.New("tls: cert and key belong together; one of them is missing")
	}
	if c.TLS.Cert != "" && c.HTTPS == "" && c.TurnTLS == "" {
		return errors.New("tls: a certificate is given, but https has no address; set https, for example to :8443")
	}
	return nil
}

func (c *Config) checkLog() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Log.Level)); err != nil {
		return fmt.Errorf("log.level: %q is not debug, info, warn or error", c.Log.Level)
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		return fmt.Errorf("log.format: %q is not text or json", c.Log.Format)
	}
	return nil
}

func (c *Config) checkTokens() error {
	if c.Tokens.JWKSURL == "" {
		return nil
	}
	u, err := url.Parse(c.Tokens.JWKSURL)
	if err != nil || u.Host == "" {
		return errors.New("tokens.jwks_url: it is not a URL")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !c.Tokens.JWKSPrivate) {
		return errors.New("tokens.jwks_url: it must begin with https:// (tokens.jwks_private allows http and private networks)")
	}
	return nil
}

func (c *Config) checkICE() error {
	for i, s := range c.ICEServers {
		if len(s.URLs) == 0 {
			return fmt.Errorf("ice_servers[%d]: urls is empty", i)
		}
		for _, u := range s.URLs {
			scheme, rest, _ := strings.Cut(u, ":")
			if !slices.Contains([]string{"stun", "stuns", "turn", "turns"}, scheme) || rest == "" || strings.ContainsAny(u, " \"<>\r\n") {
				return fmt.Errorf("ice_servers[%d]: %q does not look like stun:host:port or turn:host:port", i, u)
			}
			if strings.HasPrefix(scheme, "turn") && (s.Username == "" || s.Credential == "") {
				return fmt.Errorf("ice_servers[%d]: a TURN server needs username and credential", i)
			}
		}
		if strings.ContainsAny(s.Username+s.Credential, "\"\\\r\n") {
			return fmt.Errorf("ice_servers[%d]: quotes, backslashes and line breaks cannot be sent in a Link header", i)
		}
	}
	return nil
}

func (c *Config) checkLimits() error {
	l := c.Limits
	for key, n := range map[string]float64{
		"requests_per_second": l.RequestsPerSecond, "requests_burst": float64(l.RequestsBurst),
		"catalogue_per_second": l.CataloguePerSecond, "catalogue_burst": float64(l.CatalogueBurst),
		"publishes_per_second": l.PublishesPerSecond, "failed_auth_per_minute": l.FailedAuthPerMinute,
	} {
		if !(n >= 0 && n <= 1e9) { // also refuses NaN
			return fmt.Errorf("limits.%s: %v is not a number from 0 (off) to 1e9", key, n)
		}
	}
	if l.Sessions < 1 {
		return errors.New("limits.sessions: a node without sessions serves nobody; set it to 1 or more")
	}
	if l.RequestsPerSecond > 0 && l.RequestsBurst == 0 {
		return errors.New("limits.requests_burst: 0 would refuse every request; set it to 1 or more, or requests_per_second to 0")
	}
	if l.CataloguePerSecond > 0 && l.CatalogueBurst == 0 {
		return errors.New("limits.catalogue_burst: 0 would refuse every request; set it to 1 or more, or catalogue_per_second to 0")
	}
	for _, p := range l.TrustedProxies {
		if !p.IsValid() {
			return errors.New("limits.trusted_proxies: an entry is not a network such as 10.0.0.0/8")
		}
	}
	return nil
}

func (c *Config) checkStreams() error {
	for i, s := range c.Streams {
		if err := s.check(); err != nil {
			return fmt.Errorf("streams[%d]: %w", i, err)
		}
	}
	return nil
}

func (s Stream) check() error {
	if err := s.Match.Valid(); err != nil {
		return fmt.Errorf("match: %w", err)
	}
	if s.Absent != media.AbsentWait && s.Absent != media.AbsentRefuse {
		return fmt.Errorf("absent: %q is not wait or refuse", s.Absent)
	}
	if s.Second != media.TakenTakeover && s.Second != media.TakenReject {
		return fmt.Errorf("second: %q is not takeover or reject", s.Second)
	}
	if s.Protect != media.ProtectNone && s.Protect != media.ProtectClearKey {
		return fmt.Errorf("protect: %q is not none or clearkey", s.Protect)
	}
	if s.Hold < 0 || s.Hold > maxHold {
		return fmt.Errorf("hold: %v is not between 0s and %v", s.Hold, maxHold)
	}
	if s.KeepDays < 0 {
		return fmt.Errorf("keep_days: %d is less than 0; 0 is for ever", s.KeepDays)
	}
	if len(s.Codecs) == 0 {
		return errors.New("codecs: name at least one video codec")
	}
	for i, codec := range s.Codecs {
		if codec.Kind() != media.Video {
			return fmt.Errorf("codecs: %v is not a video codec; Opus is always accepted", codec)
		}
		if slices.Contains(s.Codecs[:i], codec) {
			return fmt.Errorf("codecs: %v is named twice", codec)
		}
	}
	if len(s.Captions) > media.MaxLanguages {
		return fmt.Errorf("captions: at most %d languages", media.MaxLanguages)
	}
	for i, tag := range s.Captions {
		if low, err := media.ParseLanguage(tag); err != nil || low != tag {
			return fmt.Errorf("captions: %q is not a language tag in lower case, as en or pt-br", tag)
		}
		if slices.Contains(s.Captions[:i], tag) {
			return fmt.Errorf("captions: %s is named twice", tag)
		}
	}
	if len(s.Languages) > media.MaxAudio {
		return fmt.Errorf("languages: a stream has at most %d audio tracks", media.MaxAudio)
	}
	for _, l := range s.Languages {
		if _, ok := language.Parse(l); !ok {
			return fmt.Errorf("languages: %q is no language such as en, es-419 or und", l)
		}
	}
	if s.MaxBitrate < 0 || s.MaxHeight < 0 {
		return errors.New("max_bitrate and max_height cannot be negative; 0 means no limit")
	}
	return nil
}

// checkHLS holds the times against what players accept (RFC 8216bis sections 4.4.3
// and 4.4.4.9); the recorder says the rest.
func (c *Config) checkHLS() error {
	h := c.HLS
	if h.EdgesOnly && h.EdgeSecret == "" {
		return errors.New("hls.edges_only: there must be an hls.edge_secret by which edges are known")
	}
	for _, node := range h.CaptionsTo {
		if u, err := url.Parse(node); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || strings.Trim(u.Path, "/") != "" {
			return fmt.Errorf("hls.captions_to: %q is not https:// and a host", node)
		}
	}
	switch {
	case h.Part < 200*time.Millisecond || h.Part > 2*time.Second:
		return fmt.Errorf("hls.part: %s is not between 200ms and 2s", h.Part)
	case h.Segment < time.Second || h.Segment > 10*time.Second || h.Segment < 2*h.Part:
		return fmt.Errorf("hls.segment: %s is not between 1s and 10s, or shorter than two parts", h.Segment)
	case h.Target%time.Second != 0 || h.Target < h.Segment+h.Segment/2+h.Part || h.Target > time.Minute:
		return fmt.Errorf("hls.target: %s is not in whole seconds, longer than a minute, or shorter than one and a half segments and a part", h.Target)
	case h.Window < 6*h.Target || h.Window > 14*24*time.Hour:
		return fmt.Errorf("hls.window: %s is not between six times hls.target and 336h", h.Window)
	case h.Grace < 0 || h.Grace > time.Hour:
		return fmt.Errorf("hls.grace: %s is not between 0s and 1h", h.Grace)
	case !slices.Contains([]string{"on_demand", "always", "off"}, h.AAC):
		return fmt.Errorf("hls.aac: %q is none of on_demand, always, off", h.AAC)
	case !slices.Contains([]string{"on_demand", "always"}, h.LadderWhen):
		return fmt.Errorf("hls.ladder_when: %q is none of on_demand, always", h.LadderWhen)
	}
	for i, name := range h.Ladder {
		if _, names, ok := recorder.Profile(name); !ok {
			return fmt.Errorf("hls.ladder: %q is none of %s", name, strings.Join(names, ", "))
		}
		if slices.Contains(h.Ladder[:i], name) {
			return fmt.Errorf("hls.ladder: %s is named twice", name)
		}
	}
	return nil
}

func (c *Config) checkStores() error {
	if u, err := url.Parse(c.Database); c.Database != "" && (err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" && u.Scheme != "sqlite") {
		return errors.New("database: it is not a URL that begins with postgres:// or sqlite:// (the URL itself may hold a password and is not shown)")
	}
	for key, at := range map[string]string{"storage": c.Storage, "uploads.storage": c.Uploads.Storage} {
		if u, err := url.Parse(at); at != "" && (err != nil || u.Scheme != "s3" && u.Scheme != "file") {
			return fmt.Errorf("%s: it is not a URL that begins with s3:// or file://", key)
		}
	}
	if c.Uploads.MaxSize < 1<<20 {
		return fmt.Errorf("uploads.max_size: %d bytes hold no film; at least 1048576 are needed", c.Uploads.MaxSize)
	}
	return nil
}
