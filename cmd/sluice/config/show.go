package config

import (
	"fmt"
	"net/url"

	"go.yaml.in/yaml/v3"
)

// hidden stands where a secret was.
const hidden = "(hidden)"

// Show writes the configuration as YAML with secrets hidden.
func (c Config) Show() (string, error) {
	servers := make([]ICEServer, len(c.ICEServers))
	for i, s := range c.ICEServers {
		if s.Credential != "" {
			s.Credential = hidden
		}
		servers[i] = s
	}
	c.ICEServers = servers
	if c.HLS.EdgeSecret != "" {
		c.HLS.EdgeSecret = hidden
	}
	c.Database = withoutPassword(c.Database)
	text, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	return string(text), nil
}

// withoutPassword hides the passwords of a database's URL: before the host, or among
// the parameters (libpq 34.1.1.2).
func withoutPassword(at string) string {
	u, err := url.Parse(at)
	if err != nil {
		return at // Validate refuses it
	}
	hides := u.User != nil
	if hides {
		u.User = url.UserPassword(u.User.Username(), "hidden")
	}
	q := u.Query()
	for _, name := range []string{"password", "sslpassword"} {
		if q.Has(name) {
			q.Set(name, "hidden")
			u.RawQuery, hides = q.Encode(), true
		}
	}
	if !hides {
		return at
	}
	return u.String()
}
