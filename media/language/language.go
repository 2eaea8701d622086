// Package language reads language tags (RFC 5646) and finds the one that a reader wants (RFC 4647).
// It promises one spelling for each tag, bounded work whatever the input is, and no allocation in Lookup.
// It is pure and owns nothing.
package language

import "strings"

// MaxTag is the longest tag that is taken, in bytes (RFC 5646 section 4.4.1).
const MaxTag = 35

// Parse returns a tag in its usual spelling (RFC 5646 section 2.1.1: "es-419", "zh-Hant-TW"), with the two-letter code
// of a language that has one (section 2.2.1): "es" for "spa". A language that is not known, "und", is "". False tells
// that it is no tag: private ones (x-…) and the irregular ones of old (i-…) are not taken either.
func Parse(s string) (tag string, ok bool) {
	if len(s) > MaxTag {
		return "", false
	}
	parts := strings.Split(s, "-")
	if !alpha(parts[0]) || len(parts[0]) < 2 || len(parts[0]) > 8 {
		return "", false
	}
	parts[0] = strings.ToLower(parts[0])
	if short := shorter(parts[0]); short != "" {
		parts[0] = short
	}
	single := false // behind a subtag of one character all are lower case
	for i, p := range parts[1:] {
		if !alnum(p) || p == "" || len(p) > 8 {
			return "", false
		}
		p = strings.ToLower(p)
		switch {
		case single:
		case len(p) == 1:
			single = true
		case len(p) == 2:
			p = strings.ToUpper(p)
		case len(p) == 4 && alpha(p):
			p = strings.ToUpper(p[:1]) + p[1:]
		}
		parts[i+1] = p
	}
	if single && len(parts[len(parts)-1]) == 1 { // an extension says something
		return "", false
	}
	tag = strings.Join(parts, "-")
	if tag == "und" {
		return "", true
	}
	return tag, true
}

// maxWishes bounds a list of wishes: browsers list three or four languages.
const maxWishes = 8

// Wishes reads a list of tags, the dearest first ("es-mx, spa,en"), as Lookup takes it; what is no tag is left out.
func Wishes(list string) string {
	var all []string
	for wish := range strings.SplitSeq(list, ",") {
		if tag, ok := Parse(strings.TrimSpace(wish)); ok && tag != "" && len(all) < maxWishes {
			all = append(all, tag)
		}
	}
	return strings.Join(all, ",")
}

// Lookup returns the index of the tag that fits a list of Wishes best; -1 where none does. Tags are as Parse returns
// them. Each wish is looked up as RFC 4647 section 3.4 says, ever more general: es-MX finds es. What that does not find,
// a tag that says more than the wish serves (section 3.3.1): es finds es-419.
//
// hot: once a second for each viewer that asked for a language.
func Lookup(wishes string, tags []string) int {
	for wish := range strings.SplitSeq(wishes, ",") {
		for part := wish; part != ""; part = wider(part) {
			for i, t := range tags {
				if t == part {
					return i
				}
			}
		}
		for i, t := range tags {
			if wish != "" && len(t) > len(wish) && t[len(wish)] == '-' && t[:len(wish)] == wish {
				return i
			}
		}
	}
	return -1
}

// wider takes the last subtag away, and with it one of a single character before it.
func wider(s string) string {
	at := strings.LastIndexByte(s, '-')
	if at < 0 {
		return ""
	}
	if s = s[:at]; len(s) > 1 && s[len(s)-2] == '-' {
		s = s[:len(s)-2]
	}
	return s
}

// ISO639 returns the three-letter code of a tag's language, as MP4 files want it (ISO 14496-12 section 8.4.2); "und"
// where there is none.
func ISO639(tag string) string {
	primary, _, _ := strings.Cut(strings.ToLower(tag), "-")
	switch len(primary) {
	case 3:
		if alpha(primary) {
			return primary
		}
	case 2:
		if at := strings.Index(codes, "|"+primary+" "); at >= 0 {
			return codes[at+4 : at+7]
		}
	}
	return "und"
}

// shorter returns the two-letter code for one of three letters; "" where there is none.
func shorter(code string) string {
	if len(code) != 3 {
		return ""
	}
	var key [4]byte
	key[0] = ' '
	for i := range 3 {
		c := code[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if c < 'a' || c > 'z' {
			return ""
		}
		key[i+1] = c
	}
	at := strings.Index(codes, string(key[:]))
	if at < 0 {
		return ""
	}
	begin := strings.LastIndexByte(codes[:at], '|')
	return codes[begin+1 : begin+3]
}

func alpha(s string) bool {
	for i := range len(s) {
		if c := s[i] | 0x20; c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

func alnum(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && ((c|0x20) < 'a' || (c|0x20) > 'z') {
			return false
		}
	}
	return true
}
