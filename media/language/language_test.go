package language_test

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/media/language"
)

func TestTagsHaveOneSpelling(t *testing.T) {
	for in, want := range map[string]string{
		"es": "es", "ES": "es", "es-419": "es-419", "ES-mx": "es-MX", "zh-hant-tw": "zh-Hant-TW", "spa": "es", "ger": "de", "deu-at": "de-AT",
		"gsw": "gsw", "und": "", "en-x-us": "en-x-us", "de-1996": "de-1996", "zh-cmn-Hans-CN": "zh-cmn-Hans-CN",
	} {
		if got, ok := language.Parse(in); !ok || got != want {
			t.Errorf("%q: got %q %v, want %q", in, got, ok, want)
		}
	}
	for _, in := range []string{"", "-", "e", "es-", "-es", "es--mx", "es_MX", "x-klingon", "i-klingon", "es mx", "éś", "12", "es-ninecharsx", "en-a",
		strings.Repeat("abcdefgh-", 5)} {
		if got, ok := language.Parse(in); ok {
			t.Errorf("%q was taken as %q", in, got)
		}
	}
}

func TestWishesAreLookedUpEverMoreGeneral(t *testing.T) {
	for _, c := range []struct {
		wish string
		tags []string
		want int
	}{
		{"es", []string{"en", "es"}, 1},
		{"es-MX", []string{"en", "es"}, 1}, // RFC 4647 section 3.4
		{"ES-mx", []string{"es", "es-MX"}, 1},
		{"zh-Hant-CN-x-private1", []string{"en", "zh-Hant"}, 1}, // the example of that section
		{"zh-Hant-CN-x-private1", []string{"zh"}, 0},
		{"fr", []string{"en", "es"}, -1},
		{"fr, es", []string{"en", "es"}, 1},
		{"fr-CA,en-GB", []string{"en", "es"}, 0},
		{"es", []string{"en", "es-419"}, 1}, // what says more than was asked for
		{"es", []string{"es-419", "es"}, 1},
		{"e", []string{"en", "es"}, -1},
		{"spa", []string{"en", "es"}, 1},
		{"", []string{"", "es"}, -1},
		{"*", []string{"en"}, -1},
		{"est", []string{"es"}, -1},
		{"es", nil, -1},
	} {
		if got := language.Lookup(language.Wishes(c.wish), c.tags); got != c.want {
			t.Errorf("%q in %q: got %d, want %d", c.wish, c.tags, got, c.want)
		}
	}
}

func TestFilesGetThreeLetters(t *testing.T) {
	for in, want := range map[string]string{"es": "spa", "es-MX": "spa", "de": "deu", "gsw": "gsw", "": "und", "zz": "und", "a-b": "und", "12x": "und", "zh-Hant": "zho"} {
		if got := language.ISO639(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// A tag that was read is read as itself, and who wishes for it finds it.
func TestATagIsFoundByItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.StringMatching(`[a-zA-Z]{2,3}(-[a-zA-Z]{4})?(-[a-zA-Z]{2}|-[0-9]{3})?`).Draw(t, "tag")
		tag, ok := language.Parse(in)
		if !ok {
			t.Fatalf("%q was refused", in)
		}
		if tag == "" {
			return
		}
		if again, ok := language.Parse(tag); !ok || again != tag {
			t.Errorf("%q became %q, then %q", in, tag, again)
		}
		if language.Lookup(language.Wishes(in), []string{"qq-Zzzz-ZZ", tag}) != 1 && tag != "qq-Zzzz-ZZ" {
			t.Errorf("%q was not found by %q", tag, in)
		}
	})
}

func TestLookupAllocatesNothing(t *testing.T) {
	tags, wishes := []string{"en", "es", "pt-BR"}, language.Wishes("fr-CA, es-MX")
	if n := testing.AllocsPerRun(100, func() { language.Lookup(wishes, tags) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"es", "zh-Hant-TW", "x-y", "en-a-b", "-", "spa-419"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tag, ok := language.Parse(s)
		if !ok && tag != "" {
			t.Errorf("%q was refused and is %q", s, tag)
		}
		if again, fine := language.Parse(tag); tag != "" && (!fine || again != tag) {
			t.Errorf("%q: %q, then %q", s, tag, again)
		}
		language.Lookup(language.Wishes(s), []string{tag, "es"})
		if len(language.ISO639(s)) != 3 {
			t.Errorf("%q: %q", s, language.ISO639(s))
		}
	})
}
