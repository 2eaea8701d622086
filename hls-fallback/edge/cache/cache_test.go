package cache_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/hls-fallback/edge/cache"
)

var now = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

func TestAddressesHaveOneSpelling(t *testing.T) {
	for _, tc := range []struct{ path, query, address string }{
		{"/live/s/i/v/media.m3u8", "_HLS_part=3&_HLS_msn=007", "/live/s/i/v/media.m3u8?_HLS_msn=7&_HLS_part=3"},
		{"/live/s/i/v/media.m3u8", "x=1&token=abc&_HLS_skip=YES", "/live/s/i/v/media.m3u8?_HLS_skip=YES"},
		{"/live/class.1/index.m3u8", "start=2026-11-20T12%3A00%3A00Z&end=2026-11-20T13:00:00Z&dvr=1", "/live/class.1/index.m3u8?dvr=1&end=2026-11-20T13%3A00%3A00Z&start=2026-11-20T12%3A00%3A00Z"},
		{"/videos/a1/x/v/3-5.m4s", "CMCD=bl%3D1", "/videos/a1/x/v/3-5.m4s"},
		{"/videos/a1/index.m3u8", "profile=&&=&_HLS_x", "/videos/a1/index.m3u8"},
	} {
		target, err := cache.Parse(tc.path, tc.query)
		if err != nil {
			t.Errorf("%s?%s: %v", tc.path, tc.query, err)
			continue
		}
		if got := target.Address(cache.Anonymous, ""); got != tc.address {
			t.Errorf("%s?%s: asked for as %s, want %s", tc.path, tc.query, got, tc.address)
		}
	}
}

// names and values that matter, one of each.
var drawn = map[string]*rapid.Generator[string]{
	"_HLS_msn":  rapid.StringMatching(`[0-9]{1,6}`),
	"_HLS_part": rapid.StringMatching(`[0-9]{1,2}`),
	"_HLS_skip": rapid.SampledFrom([]string{"YES", "v2"}),
	"dvr":       rapid.Just("1"),
	"end":       rapid.StringMatching(`[0-9]{10}`),
	"profile":   rapid.Just("legacy"),
	"start":     rapid.StringMatching(`[0-9]{10}`),
}

// No order, no unknown parameter, and no token changes the key; each wish does.
func TestKeysDependOnWishesAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		wishes := make(map[string]string)
		for name, g := range drawn {
			if rapid.Bool().Draw(t, name+" given") {
				wishes[name] = g.Draw(t, name)
			}
		}
		spell := func(token string) string {
			var pairs []string
			for name, v := range wishes {
				pairs = append(pairs, name+"="+url.QueryEscape(v))
			}
			if token != "" {
				pairs = append(pairs, "token="+url.QueryEscape(token))
			}
			pairs = append(pairs, "CMCD="+url.QueryEscape(rapid.String().Draw(t, "cmcd")))
			seed := rapid.Uint64().Draw(t, "order")
			r := rand.New(rand.NewPCG(seed, 1))
			r.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
			return strings.Join(pairs, "&")
		}
		parse := func(token string) cache.Target {
			target, err := cache.Parse("/live/s/i/v/media.m3u8", spell(token))
			if err != nil {
				t.Fatal(err)
			}
			return target
		}
		a, b := parse("alice"), parse(rapid.StringMatching(`[!-~]{1,40}`).Draw(t, "token"))
		if a.Key(cache.InQuery) != b.Key(cache.InQuery) {
			t.Fatalf("two keys for one wish: %s and %s", a.Key(cache.InQuery), b.Key(cache.InQuery))
		}
		if a.Key(cache.InQuery) == a.Key(cache.Anonymous) || a.Key(cache.InHeader) == a.Key(cache.Anonymous) {
			t.Fatal("strangers share a key with those who have a token")
		}
		// The origin is asked for what the client asked for.
		sent, err := cache.Parse("/live/s/i/v/media.m3u8", strings.TrimPrefix(a.Address(cache.InQuery, "bob"), a.Path+"?"))
		if err != nil || sent.Token != "bob" || sent.Query != a.Query {
			t.Fatalf("sent on as %s", a.Address(cache.InQuery, "bob"))
		}
		name := rapid.SampledFrom([]string{"_HLS_msn", "_HLS_part", "end", "start"}).Draw(t, "changed")
		wishes[name] = wishes[name] + "1"
		if c := parse("alice"); c.Key(cache.InQuery) == a.Key(cache.InQuery) {
			t.Fatalf("another %s has the same key %s", name, c.Key(cache.InQuery))
		}
	})
}

func TestLivesOfAnswers(t *testing.T) {
	list, blocking, part := "/live/s/i/v/media.m3u8", "/live/s/i/v/media.m3u8?_HLS_msn=1", "/live/s/i/v/1.0.m4s"
	for _, tc := range []struct {
		name, at string
		a        cache.Answer
		want     time.Duration
		private  bool
	}{
		{"nothing said", part, cache.Answer{Status: 200}, 0, false},
		{"max-age", part, cache.Answer{Status: 200, CacheControl: "public, max-age=36"}, 36 * time.Second, false},
		{"s-maxage goes first", part, cache.Answer{Status: 200, CacheControl: "max-age=86400, s-maxage=31536000"}, 365 * 24 * time.Hour, false},
		{"s-maxage 0", part, cache.Answer{Status: 200, CacheControl: "max-age=86400, s-maxage=0"}, 0, false},
		{"less Age", part, cache.Answer{Status: 200, CacheControl: "max-age=36", Age: "10"}, 26 * time.Second, false},
		{"too old", part, cache.Answer{Status: 200, CacheControl: "max-age=36", Age: "40"}, 0, false},
		{"less the origin's time", part, cache.Answer{Status: 200, CacheControl: "max-age=3", Delay: time.Second}, 2 * time.Second, false},
		{"Expires", part, cache.Answer{Status: 200, Expires: "Fri, 20 Nov 2026 12:01:00 GMT", Date: "Fri, 20 Nov 2026 12:00:00 GMT"}, time.Minute, false},
		{"Expires: 0", part, cache.Answer{Status: 200, Expires: "0", Date: "Fri, 20 Nov 2026 12:00:00 GMT"}, 0, false},
		{"no-store", part, cache.Answer{Status: 200, CacheControl: "max-age=36, No-Store"}, 0, true},
		{"private", part, cache.Answer{Status: 200, CacheControl: "private, max-age=36"}, 0, true},
		{"private, with a token that was checked", part, cache.Answer{Status: 200, CacheControl: "private, max-age=1", Checked: true}, time.Second, false},
		{"no-store, with a token that was checked", part, cache.Answer{Status: 200, CacheControl: "no-store", Checked: true}, 0, true},
		{"no-cache", part, cache.Answer{Status: 200, CacheControl: "no-cache, max-age=36"}, 0, false},
		{"cookie", part, cache.Answer{Status: 200, CacheControl: "max-age=36", SetsCookie: true}, 0, true},
		{"by encoding", part, cache.Answer{Status: 200, CacheControl: "max-age=36", Vary: "Accept-Encoding, Origin"}, 36 * time.Second, false},
		{"by something else", part, cache.Answer{Status: 200, CacheControl: "max-age=36", Vary: "User-Agent"}, 0, true},
		{"by anything", part, cache.Answer{Status: 200, CacheControl: "max-age=36", Vary: "*"}, 0, true},
		{"an error of a part", part, cache.Answer{Status: 404, CacheControl: "max-age=60"}, 6 * time.Second, false},
		{"an error of a plain playlist", list, cache.Answer{Status: 404, CacheControl: "max-age=60"}, 6 * time.Second, false},
		{"an error of a blocking playlist", blocking, cache.Answer{Status: 503, CacheControl: "max-age=60"}, 24 * time.Second, false},
		{"an error that says nothing", part, cache.Answer{Status: 404}, 0, false},
		{"a refusal", part, cache.Answer{Status: 403, CacheControl: "max-age=60"}, 0, true},
		{"a redirect", part, cache.Answer{Status: 302, CacheControl: "max-age=60"}, 0, false},
		{"part of a file", part, cache.Answer{Status: 206, CacheControl: "max-age=60"}, 0, false},
		{"a server's fault", part, cache.Answer{Status: 500, CacheControl: "max-age=60"}, 0, false},
		{"twice", part, cache.Answer{Status: 200, CacheControl: "max-age=5, max-age=60"}, 5 * time.Second, false},
		{"nonsense", part, cache.Answer{Status: 200, CacheControl: "max-age=-5"}, 0, false},
		{"quoted", part, cache.Answer{Status: 200, CacheControl: `max-age="5"`}, 5 * time.Second, false},
		{"for ever", part, cache.Answer{Status: 200, CacheControl: "max-age=99999999999999999999999"}, 365 * 24 * time.Hour, false},
	} {
		path, query, _ := strings.Cut(tc.at, "?")
		target, err := cache.Parse(path, query)
		if err != nil {
			t.Fatal(err)
		}
		if got := cache.DefaultLimits().Judge(target, tc.a); got.For != tc.want || got.Private != tc.private {
			t.Errorf("%s: kept for %v, private %v, want %v, %v", tc.name, got.For, got.Private, tc.want, tc.private)
		}
	}
}

// Whatever an origin says, no answer lives longer than it was given, nor than the
// limits; and each cache on the way takes its time off.
func TestLivesNeverGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		said := rapid.IntRange(0, 1<<20).Draw(t, "max-age")
		before := rapid.IntRange(0, 1<<20).Draw(t, "Age")
		status := rapid.SampledFrom([]int{200, 400, 401, 404, 410, 503, 500, 302}).Draw(t, "status")
		extra := rapid.SampledFrom([]string{"", ", public", ", no-store", ", immutable", ", s-maxage=3", ",,x=y"}).Draw(t, "more")
		target, err := cache.Parse("/videos/a/x/v/1.m4s", "")
		if err != nil {
			t.Fatal(err)
		}
		l := cache.DefaultLimits()
		a := cache.Answer{Status: status, CacheControl: fmt.Sprintf("max-age=%d%s", said, extra), Age: fmt.Sprint(before)}
		first := l.Judge(target, a)
		if most := time.Duration(max(said-before, 0)) * time.Second; first.For > most && extra != ", s-maxage=3" {
			t.Fatalf("kept for %v of at most %v", first.For, most)
		}
		if status != 200 && first.For > l.Media {
			t.Fatalf("an error is kept for %v", first.For)
		}
		// A second cache asks the first one after some time.
		rest := time.Duration(rapid.IntRange(0, 1<<20).Draw(t, "later")) * time.Second
		if rest >= first.For {
			return
		}
		a.Age = fmt.Sprint(int64((first.Age + rest) / time.Second))
		if second := l.Judge(target, a); rest+second.For > first.For && status == 200 {
			t.Fatalf("behind a second cache it lives for %v instead of %v", rest+second.For, first.For)
		}
	})
}

// The shelf against a plain model: never too many bytes, never anything dead,
// and what goes is what was not used for longest.
func TestShelfKeepsItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 20 << 10
		s := cache.NewShelf[int](limit)
		until := make(map[string]time.Time)
		var used []string // the last used at the end
		use := func(key string) {
			for i, k := range used {
				if k == key {
					used = append(used[:i:i], used[i+1:]...)
					break
				}
			}
			used = append(used, key)
		}
		at := now
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "time")) * time.Second)
			key := fmt.Sprint(rapid.IntRange(0, 15).Draw(t, "key"))
			if rapid.Bool().Draw(t, "put") {
				until[key] = at.Add(time.Duration(rapid.IntRange(0, 10).Draw(t, "life")) * time.Second)
				before := s.Len()
				evicted := s.Put(key, 1, int64(rapid.IntRange(0, 8<<10).Draw(t, "size")), until[key])
				if evicted > before {
					t.Fatal("more were evicted than there were")
				}
				use(key)
			} else if _, ok := s.Find(key, at); ok {
				if !at.Before(until[key]) {
					t.Fatalf("%s was found after its life", key)
				}
				use(key)
			}
			if s.Bytes() > limit || s.Bytes() < 0 {
				t.Fatalf("%d bytes of %d", s.Bytes(), limit)
			}
			// If something alive is missing, all that was used earlier is missing too.
			gone := false
			for i := len(used) - 1; i >= 0; i-- {
				if !at.Before(until[used[i]]) {
					continue
				}
				ok := s.Has(used[i])
				if gone && ok {
					t.Fatalf("%s was kept, and something used later had to go", used[i])
				}
				gone = gone || !ok
			}
		}
	})
}

func TestShelfRefusesWhatIsLargerThanItself(t *testing.T) {
	s := cache.NewShelf[int](10 << 10)
	s.Put("a", 1, 1<<10, now.Add(time.Hour))
	s.Put("b", 1, 11<<10, now.Add(time.Hour))
	if _, ok := s.Find("a", now); !ok || s.Len() != 1 {
		t.Error("what fits had to go for what does not")
	}
}

func TestOriginsRestAfterFailures(t *testing.T) {
	o := cache.NewOrigins(3)
	order := func(after time.Duration) string { return fmt.Sprint(o.Order(now.Add(after))) }
	o.Failed(0, now)
	o.Failed(0, now) // one burst
	for _, tc := range []struct {
		after time.Duration
		want  string
	}{{0, "[1 2 0]"}, {1999 * time.Millisecond, "[1 2 0]"}, {59 * time.Second, "[1 2 0]"}, {time.Minute, "[0 1 2]"}} {
		if got := order(tc.after); got != tc.want {
			t.Errorf("after %v: %s, want %s", tc.after, got, tc.want)
		}
	}
	// Beside others that failed a while ago it has its place again after its rest.
	at := 2 * time.Second
	for _, rest := range []time.Duration{4 * time.Second, 8 * time.Second, 16 * time.Second, 16 * time.Second} {
		o.Failed(1, now.Add(at-20*time.Second))
		o.Failed(2, now.Add(at-20*time.Second))
		o.Failed(0, now.Add(at))
		if order(at+rest-1) != "[1 2 0]" || order(at+rest) != "[0 1 2]" {
			t.Errorf("after a rest of %v: %s, then %s", rest, order(at+rest-1), order(at+rest))
		}
		at += rest
	}
	at += time.Hour
	o.Failed(1, now.Add(at))
	o.Worked(1)
	if got := order(at); got != "[0 2 1]" {
		t.Errorf("one that works again: %s", got)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("/live/s/i/v/media.m3u8", "_HLS_msn=1&token=a%20b")
	f.Add("/videos/../x", "%zz")
	f.Fuzz(func(t *testing.T, path, query string) {
		target, err := cache.Parse(path, query)
		if err != nil {
			if !errors.Is(err, cache.ErrPath) && !errors.Is(err, cache.ErrQuery) {
				t.Fatal(err)
			}
			return
		}
		if target.Path != path || strings.Contains(path, "..") || strings.Contains(path, "//") || strings.ContainsAny(path, "%?# \n") {
			t.Fatalf("%q passed", path)
		}
		// What is sent on means the same and has one spelling.
		next, query, _ := strings.Cut(target.Address(cache.InQuery, target.Token), "?")
		again, err := cache.Parse(next, query)
		if err != nil || again != target {
			t.Fatalf("%+v became %+v, %v", target, again, err)
		}
	})
}
