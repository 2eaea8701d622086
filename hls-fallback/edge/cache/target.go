package cache

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/media"
)

// The errors of a request that is not worth a question to the origin.
var (
	ErrPath  = errors.New("there is nothing under this path")
	ErrQuery = errors.New("the query cannot be served")
)

const (
	// maxPath and maxQuery bound what is read of a request, in bytes; a query may
	// carry a token with a long list of patterns, and CMCD.
	maxPath  = 1 << 10
	maxQuery = 16 << 10
	// maxValue bounds a parameter that enters the key: a date has about 30 bytes.
	maxValue = 64
)

// Access says how a request shows who it is. Answers to one kind are never given
// to another: a playlist that was asked for with ?token= says so in its links,
// and what was had without any token is all that a stranger gets.
type Access byte

// The kinds of access.
const (
	Anonymous Access = 'a'
	InQuery   Access = 'q' // ?token=
	InHeader  Access = 'h' // Authorization or a cookie
)

// Target is what a request asks for.
type Target struct {
	Live  bool   // below /live/, else below /videos/
	Name  string // of the stream or asset
	Path  string // as it is sent on
	Query string // what the answer depends on, in one spelling and order, without the token
	Token string // the value of token, unescaped
}

// Parse reads the path and query of a request as they came (escaped). Parameters
// that are not known are left out: they change nothing at the origin either, and
// anybody could make up new ones.
func Parse(path, query string) (Target, error) {
	var t Target
	if len(path) > maxPath || len(query) > maxQuery {
		return t, fmt.Errorf("%w: path or query is too long", ErrQuery)
	}
	rest, live := strings.CutPrefix(path, "/live/")
	if !live {
		var ok bool
		if rest, ok = strings.CutPrefix(path, "/videos/"); !ok {
			return t, ErrPath
		}
	}
	name, file, _ := strings.Cut(rest, "/")
	if _, err := media.ParseStreamID(name); err != nil || !plain(file) {
		return t, ErrPath
	}
	t.Live, t.Name, t.Path = live, name, path
	return t, t.query(query)
}

// plain reports whether a path has only elements that our own addresses have:
// no escapes, no empty ones, none that begins with a dot.
func plain(path string) bool {
	if path == "" || strings.HasSuffix(path, "/") {
		return false
	}
	before := byte('/')
	for i := range len(path) {
		c := path[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_':
		case (c == '.' || c == '/') && before != '/':
		default:
			return false
		}
		before = c
	}
	return true
}

// known are the parameters on which an answer depends, in the order of the key
// (R20, and the time-shift parameters), and the token.
var known = [...]string{"_HLS_msn", "_HLS_part", "_HLS_skip", "dvr", "end", "profile", "start", "token"}

const tokenAt = len(known) - 1

// place stands in playlists for the token; players that do not know EXT-X-DEFINE ask
// with it as it is.
const place = "{$token}"

func (t *Target) query(raw string) error {
	var values [len(known)]string
	var seen [len(known)]bool
	for raw != "" {
		var pair string
		pair, raw, _ = strings.Cut(raw, "&")
		name, value, _ := strings.Cut(pair, "=")
		at := indexOf(name)
		if at < 0 {
			continue
		}
		if seen[at] {
			return fmt.Errorf("%w: %s comes twice", ErrQuery, name)
		}
		seen[at] = true
		value, err := url.QueryUnescape(value)
		if err != nil {
			return fmt.Errorf("%w: %s is not well escaped", ErrQuery, name)
		}
		if values[at], err = canonical(at, value); err != nil {
			return err
		}
	}
	if t.Token = values[tokenAt]; t.Token == place {
		t.Token = "" // it comes in another way, if at all
	}
	var b strings.Builder
	for i, v := range values[:tokenAt] {
		if v == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(known[i] + "=" + url.QueryEscape(v))
	}
	t.Query = b.String()
	return nil
}

func indexOf(name string) int {
	for i, k := range known {
		if k == name {
			return i
		}
	}
	return -1
}

// canonical gives equal wishes one spelling.
func canonical(at int, value string) (string, error) {
	switch known[at] {
	case "_HLS_msn", "_HLS_part":
		n, err := strconv.ParseUint(value, 10, 64)
		if err != nil {
			return "", fmt.Errorf("%w: %s is not a decimal number of at most 64 bits", ErrQuery, known[at])
		}
		return strconv.FormatUint(n, 10), nil
	case "token":
		return value, nil
	}
	if len(value) > maxValue {
		return "", fmt.Errorf("%w: %s is too long", ErrQuery, known[at])
	}
	return value, nil
}

// Key names what is kept.
func (t Target) Key(a Access) string {
	return string(rune(a)) + t.Path + "?" + t.Query
}

// Address is the path and query for the origin; token is put in when a was in
// the query.
func (t Target) Address(a Access, token string) string {
	address := t.Path
	if t.Query != "" {
		address += "?" + t.Query
	}
	if a != InQuery {
		return address
	}
	if t.Query == "" {
		return address + "?token=" + url.QueryEscape(token)
	}
	return address + "&token=" + url.QueryEscape(token)
}

// Playlist reports whether the answer is a manifest, which is text and changes.
func (t Target) Playlist() bool {
	return strings.HasSuffix(t.Path, ".m3u8") || strings.HasSuffix(t.Path, ".mpd")
}

// Blocking reports whether the origin may hold the answer back until there is news.
func (t Target) Blocking() bool { return strings.HasPrefix(t.Query, "_HLS_msn=") }
