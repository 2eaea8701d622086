package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// data is a node's directory, held by this process alone.
type data struct {
	dir   string
	tag   string // four characters that begin this node's session names
	first bool   // the directory was new to serve
	lock  *os.File
}

// makeData makes the directory, readable by its owner alone.
func makeData(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return explainData(dir, fmt.Errorf("make the data directory: %w", err))
	}
	return nil
}

// openData makes and locks the directory, and reads or draws the node's tag.
func openData(dir string) (*data, error) {
	if err := makeData(dir); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, explainData(dir, fmt.Errorf("open the data directory: %w", err))
	}
	// The system lets the lock go when the process dies, however it dies.
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("another sluice serves from %s; stop it, or give this one a directory of its own with --data", dir)
	}
	d := &data{dir: dir, lock: lock}
	if err := d.readTag(); err != nil {
		d.close()
		return nil, explainData(dir, err)
	}
	return d, nil
}

func (d *data) readTag() error {
	path := filepath.Join(d.dir, "node")
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.first = true
		var b [3]byte
		if _, err := rand.Read(b[:]); err != nil {
			return fmt.Errorf("draw the node's tag: %w", err)
		}
		d.tag = base64.RawURLEncoding.EncodeToString(b[:])
		return nil // written by keep, when the start has succeeded
	case err != nil:
		return fmt.Errorf("read the node's tag: %w", err)
	}
	d.tag = strings.TrimSpace(string(text))
	if b, err := base64.RawURLEncoding.DecodeString(d.tag); err != nil || len(b) != 3 {
		return fmt.Errorf("read the node's tag: %s holds %q; remove it to get a new one", path, d.tag)
	}
	return nil
}

// keep writes down that this node has started once: links are printed at the
// first start that succeeds, not at the first that was tried.
func (d *data) keep() error {
	if !d.first {
		return nil
	}
	path := filepath.Join(d.dir, "node")
	err := os.WriteFile(path+".new", []byte(d.tag+"\n"), 0o600)
	if err == nil {
		err = os.Rename(path+".new", path) // whole or not at all
	}
	if err != nil {
		return explainData(d.dir, fmt.Errorf("write the node's tag: %w", err))
	}
	return nil
}

func (d *data) close() { _ = d.lock.Close() }

// explainData adds what to do to an error of the data directory.
func explainData(dir string, err error) error {
	if err != nil && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)) {
		return fmt.Errorf("%w; %s must be writable, or choose another directory with --data", err, dir)
	}
	return err
}
