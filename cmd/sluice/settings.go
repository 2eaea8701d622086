package main

import (
	"fmt"
	"strings"

	"github.com/sluice-live/sluice/cmd/sluice/config"
)

// placeFlags say where a node's files are; commands beside the server use them.
type placeFlags struct {
	Config *string `name:"config" placeholder:"FILE" help:"Configuration file (YAML). Also SLUICE_CONFIG."`
	Data   *string `name:"data" placeholder:"DIR" help:"Directory of keys, certificate and epochs (default ./data). Also SLUICE_DATA."`
}

// nodeFlags are the flags of a node. A flag that is not given is nil, so that
// it does not hide the file and the environment.
type nodeFlags struct {
	placeFlags
	HTTP    *string  `name:"http" placeholder:"ADDR" help:"Main address (default :8080). Also SLUICE_HTTP."`
	HTTPS   *string  `name:"https" placeholder:"ADDR" help:"Main address with TLS (default none). Also SLUICE_HTTPS."`
	Admin   *string  `name:"admin" placeholder:"ADDR" help:"Address of metrics and profiles (default 127.0.0.1:8081). Also SLUICE_ADMIN."`
	Media   *string  `name:"media" placeholder:"ADDR" help:"Port of all media, UDP and TCP (default :8189). Also SLUICE_MEDIA."`
	Carrier *string  `name:"media-transport" placeholder:"NAME" help:"What carries sessions: auto, lite or pion (default auto). Also SLUICE_MEDIA_TRANSPORT."`
	Turn    *string  `name:"turn" placeholder:"ADDR" help:"TURN relay to the media port, UDP and TCP (default none). Also SLUICE_TURN."`
	TurnTLS *string  `name:"turn-tls" placeholder:"ADDR" help:"The same over TLS (default none). Also SLUICE_TURN_TLS."`
	Public  []string `name:"public" placeholder:"IP" help:"Addresses under which clients reach this machine, with commas. Also SLUICE_PUBLIC."`
	Join    []string `name:"join" placeholder:"HOST:PORT" sep:"none" help:"Another node to find; may be repeated. Also SLUICE_JOIN."`
}

func (f placeFlags) given() map[string]any {
	m := map[string]any{}
	put(m, "data", f.Data)
	return m
}

func (f nodeFlags) given() map[string]any {
	m := f.placeFlags.given()
	put(m, "http", f.HTTP)
	put(m, "https", f.HTTPS)
	put(m, "admin", f.Admin)
	put(m, "media", f.Media)
	put(m, "media_transport", f.Carrier)
	put(m, "turn", f.Turn)
	put(m, "turn_tls", f.TurnTLS)
	if f.Public != nil {
		m["public"] = f.Public
	}
	if f.Join != nil {
		m["join"] = f.Join
	}
	return m
}

func put(m map[string]any, key string, value *string) {
	if value != nil {
		m[key] = *value
	}
}

// load reads the configuration with the given flags on top.
func (f placeFlags) load(term terminal, flags map[string]any) (config.Config, error) {
	file := variable(term.environ, "SLUICE_CONFIG")
	if f.Config != nil {
		file = *f.Config
	}
	return config.Load(config.Sources{File: file, Environ: term.environ, Flags: flags})
}

// variable is os.Getenv for a given environment; the last one counts.
func variable(environ []string, name string) string {
	value := ""
	for _, line := range environ {
		if v, ok := strings.CutPrefix(line, name+"="); ok {
			value = v
		}
	}
	return value
}

// checkCmd prints the configuration that serve would use.
type checkCmd struct{ nodeFlags }

// Run prints, or says what is wrong.
func (c *checkCmd) Run(term terminal) error {
	cfg, err := c.load(term, c.given())
	if err != nil {
		return err
	}
	text, err := cfg.Show()
	if err != nil {
		return err
	}
	fmt.Fprint(term.out, text)
	return nil
}
