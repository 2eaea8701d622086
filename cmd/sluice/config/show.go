package config

import (
	"fmt"

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
	text, err := yaml.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("write configuration: %w", err)
	}
	return string(text), nil
}
