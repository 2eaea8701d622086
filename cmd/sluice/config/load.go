package config

import (
	"bytes"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	yamlparser "github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/confmap"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/v2"
	"go.yaml.in/yaml/v3"
)

// Sources says where values come from besides the defaults.
type Sources struct {
	File    string         // path of the YAML file; empty means none
	Environ []string       // as os.Environ returns it
	Flags   map[string]any // by path with dots; only flags that were given
}

const (
	envPrefix = "SLUICE_"
	envDepth  = "__" // SLUICE_LOG__LEVEL is log.level
	// maxFile bounds the configuration file: a thousand stream patterns fit well.
	maxFile = 1 << 20
)

// ownEnv are variables of commands, not of the configuration.
var ownEnv = []string{"SLUICE_CONFIG", "SLUICE_TOKEN", "SLUICE_PUBLISH_TOKEN", "SLUICE_VIEW_TOKEN"}

// Load lays the sources over the defaults, the later over the earlier, and
// validates the result.
func Load(s Sources) (Config, error) {
	merged := koanf.New(".")
	if s.File != "" {
		text, err := readFile(s.File)
		if err != nil {
			return Config{}, err
		}
		if err := loadYAML(merged, s.File, text); err != nil {
			return Config{}, err
		}
	}
	if err := loadEnv(merged, s.Environ); err != nil {
		return Config{}, err
	}
	if err := loadMap(merged, "the flags", s.Flags); err != nil {
		return Config{}, err
	}
	return finish(merged)
}

// Parse reads one YAML text over the defaults, as a file of that name.
func Parse(name string, text []byte) (Config, error) {
	merged := koanf.New(".")
	if err := loadYAML(merged, name, text); err != nil {
		return Config{}, err
	}
	return finish(merged)
}

func readFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("read configuration: %s has %d bytes, at most %d are allowed", path, info.Size(), maxFile)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return text, nil
}

func loadYAML(k *koanf.Koanf, name string, text []byte) error {
	m, err := yamlparser.Parser().Unmarshal(text)
	if err != nil {
		return fmt.Errorf("read configuration %s: %s", name, oneLine(err))
	}
	return loadMap(k, name, m)
}

func loadMap(k *koanf.Koanf, name string, m map[string]any) error {
	nested := koanf.New(".")
	if err := nested.Load(confmap.Provider(m, "."), nil); err != nil {
		return fmt.Errorf("read configuration %s: %w", name, err)
	}
	if err := checkMap(nested.Raw(), reflect.TypeFor[Config](), ""); err != nil {
		return fmt.Errorf("read configuration %s: %w", name, err)
	}
	if err := k.Merge(nested); err != nil {
		return fmt.Errorf("merge configuration %s: %w", name, err)
	}
	return nil
}

// loadEnv takes every SLUICE_ variable. One that is not a key is an error, but
// for those that Kubernetes and Docker links set for a service named "sluice".
func loadEnv(k *koanf.Koanf, environ []string) error {
	flat := map[string]any{}
	var failed error
	provider := env.Provider("", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, text string) (string, any) {
			if slices.Contains(ownEnv, name) || linked(name) {
				return "", nil
			}
			path := strings.Split(strings.ToLower(strings.TrimPrefix(name, envPrefix)), envDepth)
			value, err := envValue(path, text)
			if err != nil && failed == nil {
				failed = fmt.Errorf("read environment %s: %w", name, err)
			}
			return strings.Join(path, "."), value
		},
	})
	values, err := provider.Read()
	if err != nil {
		return fmt.Errorf("read environment: %w", err)
	}
	if failed != nil {
		return failed
	}
	for key, value := range values {
		flat[key] = value
	}
	return loadMap(k, "the environment", flat)
}

// linked reports whether the variable looks like SLUICE_SERVICE_HOST or
// SLUICE_PORT_8080_TCP.
func linked(name string) bool {
	rest := strings.TrimPrefix(name, envPrefix)
	return rest == "PORT" || rest == "NAME" || strings.HasPrefix(rest, "PORT_") ||
		strings.HasPrefix(rest, "SERVICE_") || strings.HasPrefix(rest, "ENV_")
}

// envValue reads a variable's text as its key wants it: text as it stands, a
// list of plain values with commas, everything else as YAML.
func envValue(path []string, text string) (any, error) {
	t, ok := typeAt(path)
	if !ok {
		return nil, unknownKey(strings.Join(path, "."))
	}
	switch {
	case section(t):
		return nil, fmt.Errorf("%s holds keys of its own; add %s and one of: %s", strings.Join(path, "."), envDepth, names(t))
	case t.Kind() == reflect.Slice && !section(t.Elem()):
		list := []any{}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		return list, nil
	case t.Kind() == reflect.String, reflect.PointerTo(t).Implements(textType), t == durationType:
		return text, nil
	}
	var value any
	if err := yaml.Unmarshal([]byte(text), &value); err != nil {
		return nil, fmt.Errorf("%q cannot be read: %s", text, oneLine(err))
	}
	return value, nil
}

// finish decodes the merged keys onto the defaults.
func finish(k *koanf.Koanf) (Config, error) {
	c := Default()
	text, err := yaml.Marshal(k.Raw())
	if err != nil {
		return Config{}, fmt.Errorf("merge configuration: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return Config{}, fmt.Errorf("merge configuration: %w", err)
	}
	if err := c.Validate(); err != nil {
		return Config{}, fmt.Errorf("check configuration: %w", err)
	}
	return c, nil
}

// UnmarshalYAML reads an entry over the default policy, so that an entry needs
// to say only what differs.
func (s *Stream) UnmarshalYAML(node *yaml.Node) error {
	type plain Stream
	p := plain(defaultStream())
	p.Match = ""
	if err := node.Decode(&p); err != nil {
		return err
	}
	*s = Stream(p)
	return nil
}
