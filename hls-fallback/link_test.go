package hlsfallback_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	hlsfallback "github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/hls-fallback/stage"
	"github.com/sluice-live/sluice/media"
)

var (
	quotedURI = regexp.MustCompile(`[:,]URI="([^"]*)"`)
	template  = regexp.MustCompile(`(?s)<SegmentTemplate media="([^"]*)" initialization="([^"]*)" startNumber="(\d+)".*?</SegmentTemplate>`)
	entries   = regexp.MustCompile(`<S [^>]*?(?: r="(\d+)")?></S>`)
	baseURL   = regexp.MustCompile(`<BaseURL[^>]*>([^<]*)</BaseURL>`)
)

// named are the addresses that a playlist or manifest at an address names, as players
// read them: {$token} is what stands in the playlist's own address, if they know that, and
// what DASH players ask has the manifest's query. What is hinted is not there yet.
func named(at *url.URL, text string, knows bool) (all []string) {
	add := func(relative string) {
		if knows {
			relative = strings.ReplaceAll(relative, "{$token}", url.QueryEscape(at.Query().Get("token")))
		}
		u, err := at.Parse(relative)
		if err != nil {
			panic(err)
		}
		all = append(all, u.RequestURI())
	}
	if strings.HasPrefix(text, "<?xml") {
		query := ""
		if at.RawQuery != "" {
			query = "?" + at.RawQuery
		}
		for _, m := range template.FindAllStringSubmatch(text, -1) {
			add(m[2] + query)
			number, _ := strconv.Atoi(m[3])
			for _, s := range entries.FindAllStringSubmatch(m[0], -1) {
				repeats, _ := strconv.Atoi(s[1])
				for range repeats + 1 {
					add(strings.ReplaceAll(m[1], "$Number$", strconv.Itoa(number)) + query)
					number++
				}
			}
		}
		for _, m := range baseURL.FindAllStringSubmatch(text, -1) {
			add(m[1] + query)
		}
		return all
	}
	gap := false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "#EXT-X-GAP":
			gap = true
		case line == "", strings.HasPrefix(line, "#EXT-X-PRELOAD-HINT"), strings.Contains(line, "GAP=YES"):
		case strings.HasPrefix(line, "#"):
			for _, m := range quotedURI.FindAllStringSubmatch(line, -1) {
				add(m[1])
			}
		default:
			if !gap {
				add(line)
			}
			gap = false
		}
	}
	return all
}

// kind is what an address is of, for counting.
func kind(target string) string {
	name, _, _ := strings.Cut(target, "?")
	switch name = path.Base(name); {
	case strings.HasPrefix(name, "init-"):
		return "init"
	case strings.HasSuffix(name, ".m4s") && strings.Count(name, ".") == 2:
		return "part"
	case strings.HasSuffix(name, ".m4s") && strings.Contains(name, "-"):
		return "joined"
	case strings.HasSuffix(name, ".m4s"):
		return "segment"
	case strings.HasSuffix(name, ".vtt"):
		return "text"
	}
	return name
}

// FFmpeg asks for ?token={$token} as it stands. What they get has no token in its
// links: caches must not keep it for those who fill it in.
func TestWhatIsAskedForWithAnUnfilledTokenIsKeptByNoSharedCache(t *testing.T) {
	h := serve(t, newSource(story()), func(_ *hlsfallback.Config, p *hlsfallback.Parts) {
		p.Authorize = func(_ context.Context, a hlsfallback.Ask) error {
			if a.Token == "good" {
				return nil
			}
			return media.ErrUnauthorized
		}
		p.Checks = func(*http.Request) bool { return true }
	}).Handler()
	for _, query := range []string{"?token={$token}", "?token=%7B%24token%7D", "?dvr=1&token={$token}"} {
		w := ask(h, base+"video-h/media.m3u8"+query, "Cookie", "sluice_play=good")
		if w.Code != 200 || w.Header().Get("Cache-Control") != "private, max-age=1" || strings.Contains(w.Body.String(), "token") {
			t.Errorf("%s: %d %v %.300s", query, w.Code, w.Header(), w.Body)
		}
		if w := ask(h, base+"video-h/media.m3u8"+query, "Cookie", "sluice_play=bad"); w.Code != 401 {
			t.Errorf("%s: %d", query, w.Code)
		}
	}
}

// Whoever has a link, or the cookie that it sets, gets every playlist, part and segment
// that is named behind it, and who has not gets none of them.
func TestALinkOpensAllThatIsNamedBehindIt(t *testing.T) {
	key := hlsfallback.Key{ID: "k1", Secret: []byte("0123456789abcdef")}
	for _, room := range []string{"live", "videos"} {
		s := stage.New("show")
		s.Bytes = 1000
		for range 4 { // none is open: DASH names that too, and it comes when it comes
			s.Segment(4)
		}
		if room == "videos" {
			s.End()
		}
		f := newSource(s)
		f.caption(room == "videos")
		h := serve(t, f, func(c *hlsfallback.Config, p *hlsfallback.Parts) {
			c.Keys = []hlsfallback.Key{key}
			p.Live, p.Videos = f, f
			p.Authorize = func(context.Context, hlsfallback.Ask) error { return media.ErrUnauthorized }
		}).Handler()
		token := hlsfallback.Sign(key, hlsfallback.Grant{Videos: room == "videos", Name: "show", Expires: time.Now().Add(time.Hour)})
		start := fmt.Sprintf("start=%d&end=%d", stage.Start.Unix(), stage.Start.Unix()+5)
		for _, entry := range []string{"index.m3u8?", "index.m3u8?dvr=1&", "index.m3u8?profile=legacy&", "index.m3u8?" + start + "&", "manifest.mpd?", "manifest.mpd?" + start + "&"} {
			for _, way := range []string{"link", "cookie", "link without EXT-X-DEFINE"} {
				if way == "link without EXT-X-DEFINE" && strings.HasPrefix(entry, "manifest") {
					continue
				}
				walk := walk{t: t, h: h, knows: way == "link", seen: map[string]int{}}
				first := "/" + room + "/show/" + entry + "token=" + url.QueryEscape(token)
				if way != "link" {
					walk.cookie, _, _ = strings.Cut(ask(h, first).Header().Get("Set-Cookie"), ";")
					if walk.cookie == "" {
						t.Errorf("%s sets no cookie", first)
					}
				}
				if way == "cookie" {
					first = strings.TrimRight("/"+room+"/show/"+entry, "?&")
				}
				walk.visit(first)
				want := []string{"media.m3u8", "iframes.m3u8", "init", "part", "segment", "text"}
				switch {
				case strings.HasPrefix(entry, "manifest"):
					want = []string{"init", "segment"}
				case strings.Contains(entry, "legacy"):
					want = []string{"media.m3u8", "init", "joined", "text"}
				case room == "videos" || strings.Contains(entry, "end="):
					want = []string{"media.m3u8", "iframes.m3u8", "init", "segment", "text"}
				}
				for _, k := range want {
					if walk.seen[k] == 0 {
						t.Errorf("%s, by %s: no %s is named: %v", first, way, k, walk.seen)
					}
				}
			}
		}
	}
}

// walk follows all that is named, once each.
type walk struct {
	t      *testing.T
	h      http.Handler
	knows  bool // EXT-X-DEFINE
	cookie string
	seen   map[string]int
	been   map[string]bool
}

func (w *walk) visit(target string) {
	if w.been == nil {
		w.been = map[string]bool{}
	}
	if w.been[target] {
		return
	}
	w.been[target] = true
	w.seen[kind(target)]++
	got := ask(w.h, target, "Cookie", w.cookie)
	if got.Code != 200 {
		w.t.Errorf("%s, cookie %q: %d %.200s", target, w.cookie, got.Code, got.Body)
		return
	}
	at, err := url.Parse(target)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, forged := range []string{strings.Replace(target, "token=sl1.", "token=sl2.", 1), strings.Replace(target, "&token=", "&other=", 1)} {
		if w.cookie == "" && forged != target {
			if got := ask(w.h, forged); got.Code != 401 {
				w.t.Errorf("%s: %d", forged, got.Code)
			}
		}
	}
	if !strings.Contains(target, "token=sl1.") {
		if got := ask(w.h, target); got.Code != 401 {
			w.t.Errorf("%s without the cookie: %d", target, got.Code)
		}
	}
	if strings.HasSuffix(at.Path, ".m3u8") || strings.HasSuffix(at.Path, ".mpd") {
		for _, next := range named(at, got.Body.String(), w.knows) {
			w.visit(next)
		}
	}
	if strings.HasSuffix(at.Path, "/media.m3u8") && !strings.Contains(target, "_HLS_skip") {
		w.visit(strings.TrimRight(target+"?", "?") + map[bool]string{true: "&", false: "?"}[at.RawQuery != ""] + "_HLS_skip=YES")
	}
}
