package token

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// signingKey reads the key that signs our tokens, or makes it. HS256 wants a
// key at least as long as its hash, 32 bytes (RFC 7518 section 3.2).
func signingKey(path string) ([]byte, error) {
	fresh := make([]byte, 32)
	if _, err := rand.Read(fresh); err != nil {
		return nil, fmt.Errorf("make the signing key: %w", err)
	}
	if err := create(path, []byte(hex.EncodeToString(fresh)+"\n")); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the signing key: %w", err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(key) < 32 {
		return nil, fmt.Errorf("read the signing key: %s must hold 64 or more hexadecimal digits", path)
	}
	return key, private(path)
}

// private takes a secret from the eyes of other users, as a copied or restored
// file may have come with wider rights.
func private(path string) error {
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("close %s to others: %w", path, err)
	}
	return nil
}

// create writes a file unless there is one. Of two processes that start at
// once one wins, and both then read the winner's whole content.
func create(path string, data []byte) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	temp, err := temporary(path, data)
	if err != nil {
		return err
	}
	defer os.Remove(temp)
	if err := os.Link(temp, path); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("create %s: %w", path, err)
	}
	return nil
}

// replace writes a file so that a reader sees the old content or the new, also
// after a crash.
func replace(path string, data []byte) error {
	temp, err := temporary(path, data)
	if err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		_ = os.Remove(temp)
		return fmt.Errorf("replace %s: %w", path, err)
	}
	return nil
}

// temporary writes data beside path with rights 0600 (os.CreateTemp's) and
// makes sure that it is on the disk before it gets its name.
func temporary(path string, data []byte) (name string, err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(f.Name())
		return "", fmt.Errorf("write %s: %w", path, err)
	}
	return f.Name(), nil
}

// lock keeps other processes from changing the same file; the system lets it
// go when the process dies.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { _ = f.Close() }, nil
}
