package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluice-live/sluice/cmd/sluice/config"
	"github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/hls-fallback/clearkey"
	"github.com/sluice-live/sluice/media"
)

// contentSecretName is the file that content keys are derived from: 32 bytes in base64.
// Nodes that serve the same streams have the same one; who has it opens all recordings'
// playlists that were ever encrypted with it.
const contentSecretName = "content.secret"

// contentKeys gives the keys of streams whose policy says so.
type contentKeys struct {
	keys   *clearkey.Keys
	policy func(media.StreamID) media.Policy
}

var _ hlsfallback.Keys = contentKeys{}

// Protects reports what the policy says.
func (c contentKeys) Protects(id media.StreamID) bool {
	return c.policy(id).Protect == media.ProtectClearKey
}

// Key derives a key.
func (c contentKeys) Key(_ context.Context, a media.KeyAsk) (*media.ContentKey, error) {
	return c.keys.Key(a)
}

// openKeys returns the keys, nil when no stream is protected: nothing stands before the
// sources then.
func openKeys(cfg *config.Config) (hlsfallback.Keys, error) {
	if !slices.ContainsFunc(cfg.Streams, func(s config.Stream) bool { return s.Protect == media.ProtectClearKey }) {
		return nil, nil
	}
	secret, err := contentSecret(cfg.Data)
	if err != nil {
		return nil, err
	}
	keys, err := clearkey.New(secret)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(cfg.Data, contentSecretName), err)
	}
	return contentKeys{keys, cfg.Policy}, nil
}

// contentSecret reads the secret, and makes one at the first time.
func contentSecret(dir string) ([]byte, error) {
	path := filepath.Join(dir, contentSecretName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := makeSecret(path); err != nil && !errors.Is(err, fs.ErrExist) { // another process may have been first
			return nil, fmt.Errorf("make a secret for content keys: %w", err)
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read the secret of content keys: %w", err)
	}
	secret, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("read the secret of content keys: %s is not base64", path) // the error may show some of it
	}
	return secret, nil
}

// makeSecret writes a new file whole, or none.
func makeSecret(path string) error {
	secret := make([]byte, 32)
	if _, err := rand.Read(secret); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), contentSecretName+".*") // for its owner alone
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // its other name stays
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(secret) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
