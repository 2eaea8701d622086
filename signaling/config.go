package signaling

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Config holds the settings of the door.
type Config struct {
	// Tag is this node's mark in session identifiers: four characters of base64url.
	Tag string `koanf:"tag"`
	// Strict answers 428 to a PATCH without If-Match, as RFC 9725 section 4.3.1
	// asks. Off by default: widely used libraries send none, and throw at a 428.
	Strict bool `koanf:"strict"`
	// ICE are the STUN and TURN servers told to clients.
	ICE []ICEServer `koanf:"ice"`
	// Limits keep one client from using up the node.
	Limits Limits `koanf:"limits"`
	// Version is what GET /v1/server says.
	Version string `koanf:"-"`
	// HTTPS tells pages that this node also listens with TLS.
	HTTPS bool `koanf:"-"`
}

// ICEServer is one STUN or TURN server; Username and Credential are for TURN.
type ICEServer struct {
	URL        string `koanf:"url"`
	Username   string `koanf:"username"`
	Credential string `koanf:"credential"`
}

// Limits bound what one address and one key may ask for. A rate of zero means
// no limit.
type Limits struct {
	// Requests per second and address (IPv6: per /64), with a burst.
	Requests      float64 `koanf:"requests"`
	RequestsBurst int     `koanf:"requests_burst"`
	// Publishes per second and key or token.
	Publishes float64 `koanf:"publishes"`
	// FailedLogins per minute and address.
	FailedLogins float64 `koanf:"failed_logins"`
	// Addresses bounds how many addresses and how many keys are remembered; when
	// full, the one unused for longest is forgotten and starts afresh.
	Addresses int `koanf:"addresses"`
	// TrustedProxies are the peers whose X-Forwarded-For counts.
	TrustedProxies []netip.Prefix `koanf:"trusted_proxies"`
}

// The times that texts and clients fix.
const (
	// remember is how long an ended session still answers 200 to DELETE: OBS
	// closes DTLS first and repeats a DELETE that was not answered 200.
	remember = 60 * time.Second
	// repeat is how long the same offer is taken for a retry after a lost 201: a
	// little more than the 8 s after which OBS gives up waiting.
	repeat = 10 * time.Second
	// heartbeat keeps proxies, which cut silent responses after 30–60 s, from
	// cutting an event stream.
	heartbeat = 15 * time.Second
)

// The largest bodies that are read. The longest browser offer seen has 12 KB.
const (
	maxSDP      = 64 << 10
	maxFragment = 16 << 10
	maxJSON     = 4 << 10
)

// DefaultConfig serves one node without ICE servers and trusts no proxy.
func DefaultConfig() Config {
	return Config{
		Tag: "node",
		Limits: Limits{
			// A school behind one address joins within ten seconds.
			Requests: 50, RequestsBurst: 500,
			// An encoder that reconnects in a loop does so about once a second.
			Publishes:    5,
			FailedLogins: 10,
			// About 200 bytes each: 13 MB when an attacker fills it.
			Addresses: 1 << 16,
		},
	}
}

// Validate says what is wrong with the settings.
func (c Config) Validate() error {
	if len(c.Tag) != 4 || strings.Trim(c.Tag, urlAlphabet) != "" {
		return fmt.Errorf("read tag %q: four letters, digits, '-' or '_' are needed", c.Tag)
	}
	for _, s := range c.ICE {
		if err := s.validate(); err != nil {
			return fmt.Errorf("read ICE server %q: %w", s.URL, err)
		}
	}
	return c.Limits.validate()
}

const urlAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

func (l Limits) validate() error {
	if l.Requests < 0 || l.Publishes < 0 || l.FailedLogins < 0 {
		return errors.New("read limits: a rate cannot be negative; zero means no limit")
	}
	if l.Requests > 0 && l.RequestsBurst < 1 {
		return errors.New("read limits: requests_burst must be at least 1")
	}
	if l.Addresses < 1 {
		return errors.New("read limits: addresses must be at least 1")
	}
	return nil
}

func (s ICEServer) validate() error {
	scheme, rest, _ := strings.Cut(s.URL, ":")
	switch scheme {
	case "stun", "stuns":
	case "turn", "turns":
		if s.Username == "" || s.Credential == "" {
			return errors.New("a TURN server needs username and credential")
		}
	default:
		return errors.New("it must begin with one of stun:, stuns:, turn: and turns: as its scheme")
	}
	if rest == "" || strings.ContainsAny(s.URL, "<>\" \t\r\n") {
		return errors.New("it is not a URI")
	}
	if strings.ContainsFunc(s.Username+s.Credential, func(r rune) bool { return r < ' ' || r > '~' }) {
		return errors.New("username and credential must be printable ASCII, as they travel in a header")
	}
	return nil
}
