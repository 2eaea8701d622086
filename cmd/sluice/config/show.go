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
	if u, err := url.Parse(c.Database); err == nil && u.User != nil {
		u.User = url.UserPassword(u.User.Username(), "hidden")
		c.Database = u.String()
	}
	text, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	return string(text), nil
}
