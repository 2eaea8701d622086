package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/media"
)

// playKeysName is the file of the keys that sign links to playlists, one in a line:
// its name, a space, its secret in base64. The first one signs, all of them count;
// an edge has a copy.
const playKeysName = "play.keys"

// maxPlayKeys is for the file of somebody who changes keys every day.
const maxPlayKeys = 64 << 10

// readPlayKeys reads a file of keys.
func readPlayKeys(path string) ([]hlsfallback.Key, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the keys of signed links: %w", err)
	}
	if len(text) > maxPlayKeys {
		return nil, fmt.Errorf("read the keys of signed links: %s has more than %d bytes", path, maxPlayKeys)
	}
	var keys []hlsfallback.Key
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		id, secret, ok := strings.Cut(line, " ")
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(secret))
		if !ok || err != nil || len(b) < 16 {
			return nil, fmt.Errorf("read the keys of signed links: line %d of %s is not a name and 16 bytes or more in base64", i+1, path)
		}
		keys = append(keys, hlsfallback.Key{ID: id, Secret: b})
	}
	return keys, nil
}

// playKeys reads the node's keys, and makes one at the first time.
func playKeys(dir string) ([]hlsfallback.Key, error) {
	path := filepath.Join(dir, playKeysName)
	keys, err := readPlayKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return nil, fmt.Errorf("make a key for signed links: %w", err)
	}
	line := fmt.Sprintf("k%d %s\n", time.Now().Unix(), base64.StdEncoding.EncodeToString(secret))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return readPlayKeys(path) // another process was first
	}
	if err != nil {
		return nil, fmt.Errorf("make a key for signed links: %w", err)
	}
	_, err = f.WriteString(line)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, fmt.Errorf("make a key for signed links: %w", err)
	}
	return readPlayKeys(path)
}

// signCmd makes a link's token for one stream or asset.
type signCmd struct {
	placeFlags
	Name   string        `arg:"" help:"A stream's name, or with --asset an asset's identifier."`
	Asset  bool          `name:"asset" help:"The name is an asset's."`
	TTL    time.Duration `name:"ttl" default:"6h" help:"How long the link counts."`
	Remote netip.Addr    `name:"remote" placeholder:"ADDRESS" help:"The only address that may use it."`
}

// Run prints the path of the playlist with its token.
func (c *signCmd) Run(term terminal) error {
	if c.TTL <= 0 || c.TTL > maxTTL {
		return fmt.Errorf("--ttl %v: it must be more than 0 and at most ten years", c.TTL)
	}
	if _, err := media.ParseStreamID(c.Name); err != nil {
		return err
	}
	cfg, err := c.load(term, c.given())
	if err != nil {
		return err
	}
	if err := makeData(cfg.Data); err != nil {
		return err
	}
	keys, err := playKeys(cfg.Data)
	if err != nil {
		return explainData(cfg.Data, err)
	}
	if len(keys) == 0 {
		return fmt.Errorf("%s holds no key", filepath.Join(cfg.Data, playKeysName))
	}
	grant := hlsfallback.Grant{Videos: c.Asset, Name: c.Name, Expires: time.Now().Add(c.TTL), Remote: c.Remote}
	at := "/live/"
	if c.Asset {
		at = "/videos/"
	}
	fmt.Fprintf(term.out, "%s%s/index.m3u8?token=%s\n", at, c.Name, hlsfallback.Sign(keys[0], grant))
	return nil
}
