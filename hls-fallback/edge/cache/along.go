package cache

import (
	"regexp"
	"strings"
)

// Attributes of a multivariant playlist that name a rendition group, and its address.
var (
	groups  = regexp.MustCompile(`(GROUP-ID|AUDIO|VIDEO|SUBTITLES)="([^"]*)"`)
	address = regexp.MustCompile(`URI="([^"]*)"`)
)

// Along returns the variants and renditions of a multivariant playlist as they are
// found along another pathway, beneath base. Their groups have names of their own,
// because each group's renditions have one pathway (RFC 8216bis section 7.2).
func Along(text, id, base string) string {
	var out strings.Builder
	variant := false
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.HasPrefix(line, "#EXT-X-STREAM-INF:"):
			line = groups.ReplaceAllString(line, `$1="$2-`+id+`"`) + `,PATHWAY-ID="` + id + `"`
			variant = true
		case strings.HasPrefix(line, "#EXT-X-I-FRAME-STREAM-INF:"):
			line = address.ReplaceAllString(groups.ReplaceAllString(line, `$1="$2-`+id+`"`), `URI="`+beneath(base, "$1")+`"`) + `,PATHWAY-ID="` + id + `"`
		case strings.HasPrefix(line, "#EXT-X-MEDIA:"):
			line = address.ReplaceAllString(groups.ReplaceAllString(line, `$1="$2-`+id+`"`), `URI="`+beneath(base, "$1")+`"`)
		case variant && line != "" && !strings.HasPrefix(line, "#"):
			line, variant = beneath(base, line), false
		default:
			continue
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

// beneath resolves our own addresses, which are always relative.
func beneath(base, uri string) string { return base + uri }
