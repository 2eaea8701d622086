package token

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
)

// ErrNoKey says that no stream key has that identifier.
var ErrNoKey = errors.New("there is no such stream key")

const keyPrefix = "sk_"

// Key is one stream key, without its secret.
type Key struct {
	ID      string          `json:"id"`
	Hash    string          `json:"sha256"` // of the whole key, hex
	Publish []media.Pattern `json:"publish"`
	Created time.Time       `json:"created"`
	Revoked time.Time       `json:"revoked,omitzero"`
}

// Keys are the stream keys of one file. Several processes may change it; each
// change holds a lock on a file beside it and replaces the file at once.
type Keys struct {
	path string

	mu   sync.Mutex // guards what follows; never held while the disk is asked
	list []Key
	from os.FileInfo // the file that list was read from; nil if there was none
}

// OpenKeys reads the keys of a file, which need not exist yet.
func OpenKeys(path string) (*Keys, error) {
	k := &Keys{path: path}
	return k, k.Reload()
}

// Reload reads the file again if it has changed. After an error the keys stay
// as they were: a half-written edit must not throw every encoder out.
func (k *Keys) Reload() error {
	info, err := os.Stat(k.path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("look at the stream keys: %w", err)
	}
	k.mu.Lock()
	same := k.same(info)
	k.mu.Unlock()
	if same {
		return nil
	}
	list, err := readKeys(k.path)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.list, k.from = list, info
	return nil
}

func (k *Keys) same(info os.FileInfo) bool {
	if info == nil || k.from == nil {
		return info == nil && k.from == nil
	}
	return os.SameFile(info, k.from) && info.ModTime().Equal(k.from.ModTime()) && info.Size() == k.from.Size()
}

type keyFile struct {
	Keys []Key `json:"keys"`
}

func readKeys(path string) ([]Key, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the stream keys: %w", err)
	}
	var f keyFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("read the stream keys in %s: %w", path, err)
	}
	return f.Keys, nil
}

// Create makes a key for the streams of the patterns. The secret is shown this
// once; the file holds its hash.
func (k *Keys) Create(publish []media.Pattern) (Key, string, error) {
	if len(publish) == 0 {
		return Key{}, "", errors.New("create a stream key: no stream is named")
	}
	for _, p := range publish {
		if err := p.Valid(); err != nil {
			return Key{}, "", fmt.Errorf("create a stream key: %w", err)
		}
	}
	// rand.Text gives 26 characters of base32: 130 bits. Lower case, without '-'
	// and '_', so that a double click in OBS's settings takes the whole.
	id, secret := strings.ToLower(rand.Text()[:10]), strings.ToLower(rand.Text())
	whole := keyPrefix + id + "_" + secret
	key := Key{ID: id, Hash: hash(whole), Publish: publish, Created: time.Now().UTC().Truncate(time.Second)}
	err := k.change(func(list []Key) ([]Key, error) { return append(list, key), nil })
	return key, whole, err
}

// Revoke makes a key worthless, and the sessions that it began end.
func (k *Keys) Revoke(id string) error {
	return k.change(func(list []Key) ([]Key, error) {
		i := slices.IndexFunc(list, func(key Key) bool { return key.ID == id })
		if i < 0 {
			return nil, fmt.Errorf("revoke %q: %w", id, ErrNoKey)
		}
		if list[i].Revoked.IsZero() {
			list[i].Revoked = time.Now().UTC().Truncate(time.Second)
		}
		return list, nil
	})
}

// List returns all keys, revoked ones too, in the order of their making.
func (k *Keys) List() []Key {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.list)
}

func (k *Keys) change(edit func([]Key) ([]Key, error)) error {
	unlock, err := lock(k.path + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	list, err := readKeys(k.path)
	if err != nil {
		return err
	}
	if list, err = edit(list); err != nil {
		return err
	}
	b, err := json.MarshalIndent(keyFile{Keys: list}, "", "  ")
	if err != nil {
		return fmt.Errorf("write the stream keys: %w", err)
	}
	if err := replace(k.path, append(b, '\n')); err != nil {
		return err
	}
	return k.Reload()
}

// active are the identifiers of the keys that count.
func (k *Keys) active() map[string]bool {
	ids := make(map[string]bool)
	for _, key := range k.List() {
		if key.Revoked.IsZero() {
			ids[key.ID] = true
		}
	}
	return ids
}

// grant tells what a stream key allows.
func (k *Keys) grant(whole string) (Grant, error) {
	id, secret, ok := strings.Cut(strings.TrimPrefix(whole, keyPrefix), "_")
	if !ok || secret == "" {
		return Grant{}, refuse("it is not a whole stream key")
	}
	k.mu.Lock()
	i := slices.IndexFunc(k.list, func(key Key) bool { return key.ID == id })
	var key Key
	if i >= 0 {
		key = k.list[i]
	}
	k.mu.Unlock()
	// The hash of a 130 bit secret needs no salt; comparing in constant time
	// keeps a stranger from finding its bytes one by one.
	if subtle.ConstantTimeCompare([]byte(hash(whole)), []byte(key.Hash)) != 1 {
		return Grant{}, refuse("the stream key is not known")
	}
	if !key.Revoked.IsZero() {
		return Grant{}, refuse("the stream key was revoked")
	}
	return Grant{Subject: "key:" + key.ID, Publish: key.Publish}, nil
}

func hash(whole string) string {
	sum := sha256.Sum256([]byte(whole))
	return hex.EncodeToString(sum[:])
}
