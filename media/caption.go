package media

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Caption is a text to read during a stretch of time: what was said, or a
// translation of it.
type Caption struct {
	Language string    `json:"language"` // as ParseLanguage returns it
	Start    time.Time `json:"start"`    // UTC, of what is captured then
	End      time.Time `json:"end"`
	// Text is plain text; lines are separated by \n.
	Text string `json:"text"`
}

// Captioned says what became of captions that were packaged.
type Captioned struct {
	// Packaged are those that are in a rendition, Recorded those that are kept for the
	// asset, too; Late are those whose segment was published already.
	Packaged, Recorded, Late int
}

// The bounds of captions.
const (
	// MaxCaption is the longest text, in bytes: some times what two lines hold.
	MaxCaption = 1000
	// MaxCaptionTime is how long one is shown at most.
	MaxCaptionTime = time.Minute
	// MaxLanguages bounds the languages of a stream, and of an asset.
	MaxLanguages = 16
	// maxLanguage is the longest tag, in bytes: it is part of names of files.
	maxLanguage = 15
)

// ParseLanguage reads a language tag (RFC 5646) and returns it in lower case: "en",
// "pt-br", "zh-hant". "und" is a language that nobody named.
func ParseLanguage(tag string) (string, error) {
	low := strings.ToLower(tag)
	if len(low) > maxLanguage {
		return "", fmt.Errorf("%w: a language has at most %d characters", ErrBadQuery, maxLanguage)
	}
	for i, part := range strings.Split(low, "-") {
		letters := strings.Trim(part, "abcdefghijklmnopqrstuvwxyz") == ""
		if i == 0 && (!letters || len(part) < 2) || part == "" || len(part) > 8 || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return "", fmt.Errorf("%w: a language is a tag of RFC 5646, for example en or pt-BR", ErrBadQuery)
		}
	}
	return low, nil
}

// Validate says what is wrong with a caption.
func (c Caption) Validate() error {
	switch {
	case strings.TrimSpace(c.Text) == "":
		return fmt.Errorf("%w: the text is empty", ErrBadQuery)
	case len(c.Text) > MaxCaption:
		return fmt.Errorf("%w: a text has at most %d bytes", ErrBadQuery, MaxCaption)
	case !utf8.ValidString(c.Text) || strings.ContainsFunc(c.Text, func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' }):
		return fmt.Errorf("%w: a text has no control characters", ErrBadQuery)
	case !c.End.After(c.Start):
		return fmt.Errorf("%w: a caption ends after its beginning", ErrBadQuery)
	case c.End.Sub(c.Start) > MaxCaptionTime:
		return fmt.Errorf("%w: a caption is shown for at most %v", ErrBadQuery, MaxCaptionTime)
	}
	return nil
}

// languages are what speakers call the usual ones.
var languages = map[string]string{
	"ar": "العربية", "bg": "Български", "cs": "Čeština", "da": "Dansk", "de": "Deutsch", "el": "Ελληνικά", "en": "English",
	"es": "Español", "et": "Eesti", "fa": "فارسی", "fi": "Suomi", "fr": "Français", "he": "עברית", "hi": "हिन्दी", "hr": "Hrvatski",
	"hu": "Magyar", "id": "Bahasa Indonesia", "it": "Italiano", "ja": "日本語", "ko": "한국어", "lt": "Lietuvių", "lv": "Latviešu",
	"nb": "Norsk bokmål", "nl": "Nederlands", "pl": "Polski", "pt": "Português", "pt-br": "Português (Brasil)", "ro": "Română",
	"ru": "Русский", "sk": "Slovenčina", "sl": "Slovenščina", "sr": "Српски", "sv": "Svenska", "th": "ไทย", "tr": "Türkçe",
	"uk": "Українська", "vi": "Tiếng Việt", "zh": "中文", "zh-hans": "简体中文", "zh-hant": "繁體中文",
}

// LanguageName is what speakers call a language; the tag, where that is not known.
func LanguageName(tag string) string {
	if name := languages[tag]; name != "" {
		return name
	}
	return tag
}
