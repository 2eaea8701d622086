package token

import (
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"
)

// Config says where the secrets are, and whom to believe besides ourselves.
type Config struct {
	// Dir is the data directory. It holds signing.key, admin.token and keys.json,
	// each readable by its owner alone.
	Dir string `koanf:"-"`
	// JWKS is an identity provider whose tokens count as well.
	JWKS JWKS `koanf:"jwks"`
	// Logger is told about broken files and providers; nil is silent.
	Logger *slog.Logger `koanf:"-"`
}

// JWKS names a provider's published keys (RFC 7517 section 5).
type JWKS struct {
	// URL of the key set; empty means none. https only, unless Private.
	URL string `koanf:"url"`
	// Issuer, when set, is the iss claim that the provider's tokens must carry.
	Issuer string `koanf:"issuer"`
	// Private allows plain http and addresses of private networks.
	Private bool `koanf:"private"`
	// Timeout of one fetch.
	Timeout time.Duration `koanf:"timeout"`
	// MaxSize of the key set in bytes.
	MaxSize int64 `koanf:"max_size"`
	// Refresh is how often the keys are fetched anew.
	Refresh time.Duration `koanf:"refresh"`
}

// DefaultConfig believes only tokens of this node.
func DefaultConfig() Config {
	return Config{
		Dir: "data",
		JWKS: JWKS{
			Timeout: 10 * time.Second,
			// A key is about 2 KB with its certificates; providers publish a handful.
			MaxSize: 256 << 10,
			// Providers publish a key hours before they use it; an unknown key asks
			// for a fetch of its own.
			Refresh: 15 * time.Minute,
		},
	}
}

// Validate says what is wrong with the settings.
func (c Config) Validate() error {
	if c.Dir == "" {
		return errors.New("read token settings: the data directory is not named")
	}
	if c.JWKS.URL == "" {
		return nil
	}
	if err := c.JWKS.validate(); err != nil {
		return fmt.Errorf("read jwks settings: %w", err)
	}
	return nil
}

func (j JWKS) validate() error {
	u, err := url.Parse(j.URL)
	if err != nil {
		return fmt.Errorf("read URL: %w", err)
	}
	if u.Host == "" || u.User != nil {
		return errors.New("the URL needs a host, and no user name")
	}
	if u.Scheme != "https" && !(j.Private && u.Scheme == "http") {
		return errors.New("the URL must begin with https:// (http:// only with private: true)")
	}
	if j.Timeout <= 0 || j.MaxSize <= 0 || j.Refresh < time.Second {
		return errors.New("timeout and max_size must be positive, and refresh at least 1s")
	}
	return nil
}
