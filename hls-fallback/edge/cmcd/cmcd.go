// Package cmcd reads Common Media Client Data (CTA-5004): what a player says
// with a request about its buffer, its rate and its session. It promises to read
// any bytes in bounded time and to return nothing that JSON cannot hold.
package cmcd

import (
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxText  = 4 << 10
	maxKeys  = 40 // CTA-5004 has 18; custom ones have a hyphen in their name
	maxValue = 128
)

// Parse reads the value of the CMCD parameter, still escaped, and of the four
// CMCD- headers. Values are int64, float64, bool or string; nil when there are none.
func Parse(query string, headers ...string) map[string]any {
	var out map[string]any
	if query != "" && len(query) <= 3*maxText {
		if text, err := url.QueryUnescape(query); err == nil {
			out = read(text, out)
		}
	}
	for _, h := range headers {
		out = read(h, out)
	}
	return out
}

// read takes one list of pairs, separated by commas that are not quoted.
func read(text string, out map[string]any) map[string]any {
	if len(text) > maxText || !utf8.ValidString(text) {
		return out
	}
	for text != "" && len(out) < maxKeys {
		var pair string
		pair, text = cut(text)
		key, value, valued := strings.Cut(strings.TrimSpace(pair), "=")
		if !named(key) {
			continue
		}
		if out == nil {
			out = make(map[string]any)
		}
		out[key] = typed(value, valued)
	}
	return out
}

// cut splits at the first comma outside quotes.
func cut(text string) (pair, rest string) {
	quoted := false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && quoted:
			i++
		case c == '"':
			quoted = !quoted
		case c == ',' && !quoted:
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

func named(key string) bool {
	return key != "" && len(key) <= 64 && strings.Trim(key, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == ""
}

// typed reads a value: without one it is true, in quotes a string, else a number
// or a token.
func typed(value string, valued bool) any {
	if !valued || value == "true" {
		return true
	}
	if value == "false" {
		return false
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil {
		return n
	}
	if f, err := strconv.ParseFloat(value, 64); err == nil && f == f && f < 1e15 && f > -1e15 {
		return f
	}
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(value[1 : len(value)-1])
	}
	if len(value) > maxValue {
		value = strings.ToValidUTF8(value[:maxValue], "")
	}
	return value
}
