package clearkey_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/Eyevinn/mp4ff/bits"
	"github.com/Eyevinn/mp4ff/mp4"
	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/hls-fallback/clearkey"
	"github.com/sluice-live/sluice/media"
)

func keys(t testing.TB, secret string) *clearkey.Keys {
	t.Helper()
	k, err := clearkey.New([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func key(t testing.TB, k *clearkey.Keys, a media.KeyAsk) *media.ContentKey {
	t.Helper()
	got, err := k.Key(a)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

var ask = media.KeyAsk{Stream: "show", Incarnation: "t1", Kind: media.VideoRendition, Licence: "/live/show/licence"}

// Two nodes with one secret have one key; whatever else differs, the key differs.
func TestKeysFollowFromTheSecretAndWhatTheyAreFor(t *testing.T) {
	const secret = "0123456789abcdef"
	one := key(t, keys(t, secret), ask)
	if again := key(t, keys(t, secret), ask); again.Secret != one.Secret || again.KeyID != one.KeyID || again.IV != one.IV {
		t.Error("another node has another key")
	}
	others := []*media.ContentKey{key(t, keys(t, "another secret of a node"), ask)}
	for _, change := range []func(*media.KeyAsk){
		func(a *media.KeyAsk) { a.Stream = "show2" },
		func(a *media.KeyAsk) { a.Incarnation = "t2" },
		func(a *media.KeyAsk) { a.Kind = media.AudioRendition },
		func(a *media.KeyAsk) { a.Stream, a.Incarnation = "show t", "1" },
	} {
		a := ask
		change(&a)
		others = append(others, key(t, keys(t, secret), a))
	}
	for i, other := range others {
		if other.Secret == one.Secret || other.KeyID == one.KeyID || other.IV == one.IV || bytes.Equal(other.Secret[:], other.KeyID[:]) {
			t.Error("the same key of something else:", i)
		}
	}
	if _, err := clearkey.New([]byte("short")); err == nil {
		t.Error("a short secret counts")
	}
}

func TestTheBoxNamesBothKeys(t *testing.T) {
	k := keys(t, "0123456789abcdef")
	sound := ask
	sound.Kind = media.AudioRendition
	b, err := mp4.DecodeBoxSR(0, bits.NewFixedSliceReader(key(t, k, ask).Systems[1].PSSH))
	if err != nil {
		t.Fatal(err)
	}
	box := b.(*mp4.PsshBox)
	want := []media.KeyID{key(t, k, ask).KeyID, key(t, k, sound).KeyID}
	if box.SystemID.String() != mp4.UUID_W3C_COMMON || len(box.KIDs) != 2 || !bytes.Equal(box.KIDs[0], want[0][:]) || !bytes.Equal(box.KIDs[1], want[1][:]) {
		t.Errorf("%+v", box)
	}
}

// However a key is printed, nobody reads it in a log.
func TestAKeyHasNoText(t *testing.T) {
	k := key(t, keys(t, "0123456789abcdef"), ask)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("key", "a", k, "b", k.Secret)
	slog.New(slog.NewTextHandler(&log, nil)).Info("key", "a", k, "b", *k)
	text := log.String() + fmt.Sprintf("%v %+v %#v %s %x %v", k, *k, *k, k.Secret, k.Secret, &k.Secret)
	decimal := strings.Trim(fmt.Sprint([16]byte(k.Secret)), "[]")
	for _, form := range []string{decimal, strings.ReplaceAll(decimal, " ", ","), strings.ReplaceAll(decimal, " ", ", "), fmt.Sprintf("%x", k.Secret[:]), base64.StdEncoding.EncodeToString(k.Secret[:])} {
		if strings.Contains(text, form) {
			t.Error("the key can be read:", text)
		}
	}
}

func TestLicence(t *testing.T) {
	k := keys(t, "0123456789abcdef")
	sound := ask
	sound.Kind = media.AudioRendition
	both := []*media.ContentKey{key(t, k, ask), key(t, k, sound)}
	name := func(id media.KeyID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }
	stranger := base64.RawURLEncoding.EncodeToString(make([]byte, 16))
	for _, c := range []struct {
		body string
		keys int
		err  error
	}{
		{fmt.Sprintf(`{"kids":[%q],"type":"temporary"}`, name(both[0].KeyID)), 1, nil},
		{fmt.Sprintf(`{"kids":[%q,%q,%q]}`, name(both[1].KeyID), name(both[0].KeyID), name(both[0].KeyID)), 2, nil},
		{fmt.Sprintf(`{"kids":[%q,%q]}`, stranger, name(both[0].KeyID)), 1, nil},
		{fmt.Sprintf(`{"kids":[%q]}`, stranger), 0, clearkey.ErrUnknown},
		{fmt.Sprintf(`{"kids":[%q],"type":"persistent-license"}`, name(both[0].KeyID)), 0, clearkey.ErrRequest},
		{`{"kids":[]}`, 0, clearkey.ErrRequest},
		{`{"kids":["` + strings.Repeat("A", 21) + `"]}`, 0, clearkey.ErrRequest},
		{`{"kids":["AAAAAAAAAAAAAAAAAAAAAA==" ]}`, 0, clearkey.ErrRequest},
		{`{"kids":[` + strings.Repeat(`"`+stranger+`",`, 16) + `"` + stranger + `"]}`, 0, clearkey.ErrRequest},
		{``, 0, clearkey.ErrRequest},
		{`[]`, 0, clearkey.ErrRequest},
		{`{"kids":["` + strings.Repeat("A", clearkey.MaxRequest) + `"]}`, 0, clearkey.ErrRequest},
	} {
		ids, err := clearkey.Parse([]byte(c.body))
		var b []byte
		if err == nil {
			b, err = clearkey.Licence(ids, both)
		}
		if !errors.Is(err, c.err) {
			t.Errorf("%.80s: %v, expected %v", c.body, err, c.err)
			continue
		}
		var got struct {
			Keys []struct{ Kty, K, KID string }
			Type string
		}
		if c.err == nil {
			if err := json.Unmarshal(b, &got); err != nil || got.Type != "temporary" {
				t.Error(string(b), err)
			}
		}
		if len(got.Keys) != c.keys {
			t.Errorf("%.80s: %s", c.body, b)
		}
		for _, one := range got.Keys {
			i := map[string]int{name(both[0].KeyID): 0, name(both[1].KeyID): 1}[one.KID]
			if one.Kty != "oct" || one.K != base64.RawURLEncoding.EncodeToString(both[i].Secret[:]) {
				t.Errorf("%s", b)
			}
		}
	}
}

func FuzzLicence(f *testing.F) {
	f.Add([]byte(`{"kids":["AAAAAAAAAAAAAAAAAAAAAA"],"type":"temporary"}`))
	f.Add([]byte(`{"kids":[null]}`))
	k := key(f, keys(f, "0123456789abcdef"), ask)
	f.Fuzz(func(t *testing.T, body []byte) {
		ids, err := clearkey.Parse(body)
		if (err == nil) != (len(ids) > 0) || len(ids) > 16 {
			t.Fatal(len(ids), err)
		}
		if b, err := clearkey.Licence(ids, []*media.ContentKey{k}); (err == nil) != (len(b) > 0) {
			t.Fatal(string(b), err)
		}
	})
}

// No licence has a key that was not asked for.
func TestALicenceHasNothingElse(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var all []*media.ContentKey
		var asked []media.KeyID
		wanted := map[string]bool{}
		for i := range rapid.IntRange(1, 6).Draw(r, "keys") {
			one := &media.ContentKey{Protection: media.Protection{KeyID: media.KeyID{byte(i)}}, Secret: media.ContentSecret{byte(100 + i)}}
			all = append(all, one)
			if rapid.Bool().Draw(r, "asked") {
				asked = append(asked, one.KeyID)
				wanted[base64.RawURLEncoding.EncodeToString(one.Secret[:])] = true
			}
		}
		b, err := clearkey.Licence(asked, all)
		if len(asked) == 0 && errors.Is(err, clearkey.ErrUnknown) {
			return
		}
		var got struct{ Keys []struct{ K string } }
		if err := errors.Join(err, json.Unmarshal(b, &got)); err != nil || len(got.Keys) != len(asked) {
			r.Fatal(string(b), err)
		}
		for _, one := range got.Keys {
			if !wanted[one.K] {
				r.Fatal(string(b))
			}
		}
	})
}
