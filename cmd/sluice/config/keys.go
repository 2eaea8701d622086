package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// field is one key of a struct with its YAML name.
type field struct {
	name string
	typ  reflect.Type
}

var (
	textType     = reflect.TypeFor[encoding.TextUnmarshaler]()
	durationType = reflect.TypeFor[time.Duration]()
)

// fields lists the keys of a configuration struct, in the order of the source.
func fields(t reflect.Type) []field {
	var out []field
	for f := range t.Fields() {
		out = append(out, field{f.Tag.Get("yaml"), f.Type})
	}
	return out
}

// section reports whether t holds keys of its own rather than a value.
func section(t reflect.Type) bool {
	return t.Kind() == reflect.Struct && !reflect.PointerTo(t).Implements(textType)
}

// Keys lists every key as a path with dots; keys of list entries follow "[]".
func Keys() []string { return paths(reflect.TypeFor[Config](), "") }

func paths(t reflect.Type, prefix string) []string {
	var out []string
	for _, f := range fields(t) {
		path := prefix + f.name
		switch {
		case section(f.typ):
			out = append(out, paths(f.typ, path+".")...)
		case f.typ.Kind() == reflect.Slice && section(f.typ.Elem()):
			out = append(out, path)
			out = append(out, paths(f.typ.Elem(), path+"[].")...)
		default:
			out = append(out, path)
		}
	}
	return out
}

// typeAt returns the type of the key at a path of names.
func typeAt(path []string) (reflect.Type, bool) {
	t := reflect.TypeFor[Config]()
	for _, name := range path {
		if !section(t) {
			return nil, false
		}
		i := slices.IndexFunc(fields(t), func(f field) bool { return f.name == name })
		if i < 0 {
			return nil, false
		}
		t = fields(t)[i].typ
	}
	return t, true
}

// checkMap holds a decoded map against the keys of t: unknown keys and values
// of the wrong kind are errors that name the path.
func checkMap(m map[string]any, t reflect.Type, prefix string) error {
	known := fields(t)
	for name, value := range m {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == name })
		if i < 0 {
			return unknownKey(prefix + name)
		}
		if err := checkValue(value, known[i].typ, prefix+name); err != nil {
			return err
		}
	}
	return nil
}

func checkValue(value any, t reflect.Type, path string) error {
	if value == nil {
		return nil // "key:" with nothing behind it keeps the default
	}
	switch {
	case section(t):
		m, ok := value.(map[string]any)
		if !ok {
			return fmt.Errorf("%s holds keys of its own (%s), not a value", path, names(t))
		}
		return checkMap(m, t, path+".")
	case t.Kind() == reflect.Slice && section(t.Elem()):
		list, ok := value.([]any)
		if !ok {
			return fmt.Errorf("%s is a list; begin each entry with a dash", path)
		}
		for i, entry := range list {
			if err := checkValue(entry, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	case t == durationType:
		// YAML would read a bare number as nanoseconds.
		if _, ok := value.(string); !ok {
			return fmt.Errorf("%s is a time and needs a unit, as in 30s or 5m", path)
		}
	}
	return checkScalar(value, t, path)
}

// checkScalar tries the value in a variable of its type.
func checkScalar(value any, t reflect.Type, path string) error {
	text, err := yaml.Marshal(value)
	if err == nil {
		err = yaml.Unmarshal(text, reflect.New(t).Interface())
	}
	if err == nil {
		return nil
	}
	// The line is one of this value, not of the file.
	return fmt.Errorf("%s: %s", path, strings.TrimPrefix(oneLine(err), "line 1: "))
}

// oneLine is a YAML error without its package name and line breaks.
func oneLine(err error) string {
	msg := strings.TrimPrefix(err.Error(), "yaml: ")
	msg = strings.TrimPrefix(msg, "unmarshal errors:\n  ")
	return strings.ReplaceAll(msg, "\n  ", "; ")
}

func names(t reflect.Type) string {
	var out []string
	for _, f := range fields(t) {
		out = append(out, f.name)
	}
	return strings.Join(out, ", ")
}

// unknownKey names the known key, or the section of some, that needs the fewest edits to
// become path.
func unknownKey(path string) error {
	plain := stripIndexes(path)
	best, distance := "", len(plain)
	for _, key := range withSections(Keys()) {
		d := edits(plain, key)
		// A key that was written at the wrong depth is as good as one misspelt.
		if last(plain) == last(key) {
			d = min(d, 1)
		}
		if d < distance {
			best, distance = key, d
		}
	}
	if best == "" {
		return fmt.Errorf("key %q is not known; `sluice check` prints all that are", path)
	}
	return fmt.Errorf("key %q is not known; the nearest is %q", path, best)
}

// withSections adds what keys stand in: log beside log.level.
func withSections(keys []string) []string {
	out := slices.Clone(keys)
	for _, key := range keys {
		for i, c := range key {
			if c == '.' && !slices.Contains(out, key[:i]) {
				out = append(out, key[:i])
			}
		}
	}
	return out
}

func last(path string) string { return path[strings.LastIndexByte(path, '.')+1:] }

// stripIndexes turns streams[3].hold into streams[].hold.
func stripIndexes(path string) string {
	var b strings.Builder
	inside := false
	for _, r := range path {
		switch {
		case r == '[':
			inside = true
			b.WriteString("[]")
		case r == ']':
			inside = false
		case !inside:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// edits is the Levenshtein distance of two short strings. Long ones are cut:
// a key of more than 64 bytes is near to nothing anyway.
func edits(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
