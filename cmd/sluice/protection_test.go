package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/sluice-live/sluice/cmd/sluice/config"
	"github.com/sluice-live/sluice/media"
)

// The secret is made when it is needed, for its owner alone, and stays; a node with a
// copy of it has the same keys.
func TestContentKeysFollowFromTheNodesSecret(t *testing.T) {
	cfg := config.Default()
	cfg.Data = t.TempDir()
	path := filepath.Join(cfg.Data, contentSecretName)
	if keys, err := openKeys(&cfg); keys != nil || err != nil {
		t.Fatal(keys, err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("a secret nobody needs:", err)
	}
	closed := cfg.Streams[0]
	closed.Match, closed.Protect = "closed.*", media.ProtectClearKey
	cfg.Streams = append([]config.Stream{closed}, cfg.Streams...)
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	key := func(dir string) media.ContentKey {
		t.Helper()
		cfg.Data = dir
		keys, err := openKeys(&cfg)
		if err != nil {
			t.Fatal(err)
		}
		if !keys.Protects("closed.show") || keys.Protects("show") {
			t.Error("the policy is not what counts")
		}
		k, err := keys.Key(t.Context(), media.KeyAsk{Stream: "closed.show", Incarnation: "t1", Kind: media.VideoRendition})
		if err != nil {
			t.Fatal(err)
		}
		return *k
	}
	one := key(cfg.Data)
	if s, err := os.Stat(path); err != nil || s.Mode().Perm() != 0o600 {
		t.Error(s, err)
	}
	other := t.TempDir()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(other, contentSecretName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if two := key(other); two.Secret != one.Secret || two.KeyID != one.KeyID || two.IV != one.IV {
		t.Error("a node with the same secret has other keys")
	}
	if two := key(t.TempDir()); two.Secret == one.Secret || two.KeyID == one.KeyID {
		t.Error("another node has the same key")
	}
	cfg.Streams[0].Protect = "widevine"
	if cfg.Validate() == nil {
		t.Error("an unknown system is taken")
	}
}
