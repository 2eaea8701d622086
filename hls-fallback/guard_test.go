package hlsfallback_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/Eyevinn/mp4ff/mp4"

	hlsfallback "github.com/sluice-live/sluice/hls-fallback"
	"github.com/sluice-live/sluice/hls-fallback/clearkey"
	"github.com/sluice-live/sluice/hls-fallback/protect"
	"github.com/sluice-live/sluice/hls-fallback/stage"
	"github.com/sluice-live/sluice/media"
)

// vaultKeys protects the stream "show", and counts.
type vaultKeys struct {
	keys  *clearkey.Keys
	asked atomic.Int64
	err   error
}

func (k *vaultKeys) Protects(id media.StreamID) bool { return id == "show" }

func (k *vaultKeys) Key(_ context.Context, a media.KeyAsk) (*media.ContentKey, error) {
	k.asked.Add(1)
	if k.err != nil {
		return nil, k.err
	}
	return k.keys.Key(a)
}

func newKeys(t testing.TB) *vaultKeys {
	t.Helper()
	k, err := clearkey.New([]byte("a secret of sixteen bytes or more"))
	if err != nil {
		t.Fatal(err)
	}
	return &vaultKeys{keys: k}
}

// takes are real pictures and sound: a section, and parts of one frame each.
type takes struct {
	section []byte
	parts   [][]byte
}

var films = sync.OnceValues(func() (map[string]takes, error) {
	dir, err := os.MkdirTemp("", "films")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	all := map[string]takes{}
	for codec, args := range map[string][]string{
		"avc":  {"-f", "lavfi", "-i", "testsrc2=size=320x180:rate=10:duration=2", "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"},
		"vp9":  {"-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10:duration=1", "-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"},
		"opus": {"-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=1", "-c:a", "libopus"},
	} {
		path := filepath.Join(dir, codec+".mp4")
		args = append(append([]string{"-v", "error"}, args...), "-movflags", "+delay_moov+default_base_moof+frag_every_frame+cmaf", path)
		if out, err := exec.Command("ffmpeg", args...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("ffmpeg (scripts/bring ffmpeg installs it): %w\n%s", err, out)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		f, err := mp4.DecodeFile(bytes.NewReader(b))
		if err != nil {
			return nil, err
		}
		end := len(b)
		if f.Mfra != nil {
			end -= int(f.Mfra.Size())
		}
		size := int(f.Init.Size())
		parts, err := protect.Split(b[size:end])
		if err != nil {
			return nil, err
		}
		all[codec] = takes{b[:size], parts}
	}
	return all, nil
})

// screening is a story with real media: pictures in H.264 or VP9, and Opus.
func screening(t testing.TB, pictures string) *stage.Stage {
	t.Helper()
	all, err := films()
	if err != nil {
		t.Fatal(err)
	}
	of := func(r *media.Rendition) takes {
		if r.Kind == media.AudioRendition {
			return all["opus"]
		}
		return all[pictures]
	}
	s := stage.Bare("show")
	s.Head = func(r *media.Rendition) []byte { return of(r).section }
	s.Make = func(r *media.Rendition, seq uint32, _ media.Part) []byte {
		parts := of(r).parts
		return parts[int(seq)%len(parts)]
	}
	s.Add(media.Rendition{ID: "video", Kind: media.VideoRendition, Codec: map[string]string{"avc": "avc1.64001f", "vp9": "vp09.00.10.08"}[pictures], Timescale: 90000, Bandwidth: 1e6})
	s.Add(media.Rendition{ID: "audio", Kind: media.AudioRendition, Codec: "opus", Timescale: 48000, Channels: 2, Bandwidth: 1e5, Default: true})
	s.Heads()
	for range 4 {
		s.Segment(4)
	}
	for _, id := range s.Renditions() {
		s.Part(id)
	}
	return s
}

func protected(t *testing.T, f *source, k hlsfallback.Keys) http.Handler {
	t.Helper()
	return serve(t, f, func(_ *hlsfallback.Config, p *hlsfallback.Parts) { p.Keys = k }).Handler()
}

var namedIn = regexp.MustCompile(`(t5abcde000000001-[0-9a-f]{16})/video/media\.m3u8`)

// protectedBase is the address of what is protected, as the playlist names it.
func protectedBase(t *testing.T, h http.Handler) string {
	t.Helper()
	m := namedIn.FindStringSubmatch(ask(h, "/live/show/index.m3u8").Body.String())
	if m == nil {
		t.Fatal(ask(h, "/live/show/index.m3u8").Body)
	}
	return "/live/show/" + m[1] + "/"
}

func get(t *testing.T, h http.Handler, target string) []byte {
	t.Helper()
	w := ask(h, target)
	if w.Code != 200 {
		t.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	return w.Body.Bytes()
}

func post(h http.Handler, path, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// opened decrypts a section with media, and returns its samples in a row.
func opened(t *testing.T, file, secret []byte) []byte {
	t.Helper()
	f, err := mp4.DecodeFile(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	var info mp4.DecryptInfo
	if secret != nil {
		if info, err = mp4.DecryptInit(f.Init); err != nil {
			t.Fatal(err)
		}
	}
	var all []byte
	for _, s := range f.Segments {
		for _, one := range s.Fragments {
			if secret != nil {
				if err := mp4.DecryptFragment(one, info, secret); err != nil {
					t.Fatal(err)
				}
			}
			samples, err := one.GetFullSamples(f.Init.Moov.Mvex.Trex)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range samples {
				all = append(all, x.Data...)
			}
		}
	}
	return all
}

// Parts are the segment, segments the joined one, from memory or from disk, at each node;
// and who has the key gets what was published.
func TestProtectedPartsAreTheSegmentWhereverItIs(t *testing.T) {
	f := newSource(screening(t, "avc"))
	k := newKeys(t)
	h := protected(t, f, k)
	plain := serve(t, f, nil).Handler()
	at := protectedBase(t, h)
	for id, kind := range map[string]media.RenditionKind{"video": media.VideoRendition, "audio": media.AudioRendition} {
		var whole []byte
		for _, part := range []string{"0.4", "1.1", "1.2", "1.3"} {
			whole = append(whole, get(t, h, at+id+"/"+part+".m4s")...)
		}
		if !bytes.Equal(whole, get(t, h, at+id+"/1.m4s")) {
			t.Error(id, "parts are not the segment")
		}
		joined := append(get(t, h, at+id+"/0.m4s"), append(bytes.Clone(whole), get(t, h, at+id+"/2.m4s")...)...)
		if !bytes.Equal(joined, get(t, h, at+id+"/0-2.m4s")) {
			t.Error(id, "segments are not the joined one")
		}
		if w := ask(h, at+id+"/1.m4s", "Range", "bytes=10-99"); w.Code != 206 || !bytes.Equal(w.Body.Bytes(), whole[10:100]) {
			t.Error(id, "a range:", w.Code, w.Body.Len())
		}
		section := get(t, h, at+id+"/init-0.mp4")
		key, err := k.Key(t.Context(), media.KeyAsk{Stream: "show", Incarnation: "t5abcde000000001", Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		clear := opened(t, append(get(t, plain, base+id+"/init-0.mp4"), get(t, plain, base+id+"/1.m4s")...), nil)
		if got := opened(t, append(bytes.Clone(section), whole...), key.Secret[:]); !bytes.Equal(got, clear) {
			t.Error(id, "opens to something else")
		}
		if bytes.Contains(section, []byte("avc1\x00")) && !bytes.Contains(section, []byte("encv")) || bytes.Contains(whole, clear[len(clear)/2:len(clear)/2+200]) {
			t.Error(id, "is clear")
		}
		f.archive(id)
		other := protected(t, f, newKeys(t)) // another node, which has it on disk
		if !bytes.Equal(whole, get(t, other, at+id+"/1.m4s")) {
			t.Error(id, "is another at another node, from disk")
		}
	}
	if n := k.asked.Load(); n != 2+2 {
		t.Error("keys were asked for", n, "times")
	}
	if w := ask(h, base+"video/1.m4s"); w.Code != 404 {
		t.Error("the clear address is served:", w.Code)
	}
}

// A segment that is being made comes in parts, all of them encrypted.
func TestProtectedSegmentIsFollowed(t *testing.T) {
	f := newSource(screening(t, "avc"))
	h := protected(t, f, newKeys(t))
	at := protectedBase(t, h)
	done := make(chan []byte)
	go func() { // it is waited for below
		done <- ask(h, at+"video/4.m4s").Body.Bytes()
	}()
	f.do(func(s *stage.Stage) { s.Part("video") })
	f.do(func(s *stage.Stage) { s.Part("video") })
	f.do(func(s *stage.Stage) { s.Close("video") })
	followed := <-done
	if want := get(t, h, at+"video/4.m4s"); !bytes.Equal(followed, want) {
		t.Errorf("%d bytes came, %d were made", len(followed), len(want))
	}
}

// Whoever comes first has a part encrypted, and all get the same.
func TestManyWantOnePart(t *testing.T) {
	f := newSource(screening(t, "avc"))
	h := protected(t, f, newKeys(t))
	at := protectedBase(t, h)
	var got [20][]byte
	var all sync.WaitGroup
	for i := range got {
		all.Go(func() { got[i] = ask(h, at+"video/3.2.m4s").Body.Bytes() })
	}
	all.Wait()
	for i := range got {
		if len(got[i]) == 0 || !bytes.Equal(got[i], got[0]) {
			t.Error(i, len(got[i]))
		}
	}
}

func TestPlaylistsTellOfKeys(t *testing.T) {
	f := newSource(screening(t, "avc"))
	k := newKeys(t)
	h := protected(t, f, k)
	at := protectedBase(t, h)
	key, err := k.Key(t.Context(), media.KeyAsk{Stream: "show", Incarnation: "t5abcde000000001", Kind: media.VideoRendition})
	if err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf(`METHOD=SAMPLE-AES,URI="/live/show/licence",KEYID=0x%x,KEYFORMAT="org.w3.clearkey",KEYFORMATVERSIONS="1"`+"\n", key.KeyID[:])
	for path, want := range map[string]string{
		"/live/show/index.m3u8":                              "#EXT-X-SESSION-KEY:" + line,
		at + "video/media.m3u8":                              "#EXT-X-KEY:" + line + "#EXT-X-MAP:",
		at + "video/media.m3u8?profile=legacy":               "#EXT-X-KEY:" + line + "#EXT-X-MAP:",
		at + "video/iframes.m3u8":                            "#EXT-X-KEY:" + line + "#EXT-X-MAP:",
		at + "video/media.m3u8?token=a":                      `URI="/live/show/licence?token={$token}"`,
		"/live/show/manifest.mpd":                            `schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cbcs"`,
		"/live/show/manifest.mpd?":                           `cenc:default_KID="` + key.KeyID.String() + `"`,
		"/live/show/manifest.mpd?start=2026-11-20T12:00:00Z": `urn:uuid:e2719d58-a985-b3c9-781a-b030af78d30e`,
	} {
		if text := string(get(t, h, path)); !strings.Contains(text, want) {
			t.Errorf("%s lacks %s:\n%s", path, want, text)
		}
	}
	if text := string(get(t, h, "/live/show/manifest.mpd")); strings.Contains(text, "licence") || strings.Contains(text, "pssh") {
		t.Error("players take a path for the page's, and a box for a list of identifiers:", text)
	}
	if text := string(get(t, h, at+"video/iframes.m3u8")); strings.Contains(text, "BYTERANGE") {
		t.Error("clear bytes are counted in an I-frame playlist")
	}
}

// What cannot be encrypted is not offered, whatever is asked for.
func TestWhatCannotBeEncryptedIsNotServed(t *testing.T) {
	f := newSource(screening(t, "vp9"))
	h := protected(t, f, newKeys(t))
	for _, path := range []string{"/live/show/index.m3u8", "/live/show/manifest.mpd", base + "video/media.m3u8", base + "video/1.m4s", base + "video/init-0.mp4"} {
		var p media.Problem
		w := ask(h, path)
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != 422 || !strings.Contains(p.Detail, "cannot be encrypted") {
			t.Error(path, w.Code, w.Body, err)
		}
	}
	both := screening(t, "avc")
	all, err := films()
	if err != nil {
		t.Fatal(err)
	}
	head := both.Head
	both.Head = func(r *media.Rendition) []byte {
		if r.ID == "video-vp9" {
			return all["vp9"].section
		}
		return head(r)
	}
	both.Add(media.Rendition{ID: "video-vp9", Kind: media.VideoRendition, Codec: "vp09.00.10.08", Timescale: 90000, Bandwidth: 1e6})
	both.Segment(4)
	h = protected(t, newSource(both), newKeys(t))
	text := string(get(t, h, "/live/show/index.m3u8"))
	if strings.Contains(text, "vp09") || !strings.Contains(text, "avc1") {
		t.Error(text)
	}
	if w := ask(h, protectedBase(t, h)+"video-vp9/init-0.mp4"); w.Code != 404 {
		t.Error(w.Code)
	}
}

// Without a key nothing goes out.
func TestNoKeyNoMedia(t *testing.T) {
	f := newSource(screening(t, "avc"))
	k := newKeys(t)
	k.err = errors.New("the key server is away")
	h := protected(t, f, k)
	for _, path := range []string{"/live/show/index.m3u8", base + "video/1.m4s", base + "audio/3.1.m4s"} {
		if w := ask(h, path); w.Code != 503 || strings.Contains(w.Body.String(), "away") {
			t.Error(path, w.Code, w.Body)
		}
	}
}

func TestLicencesAreForWhoMayPlay(t *testing.T) {
	f := newSource(screening(t, "avc"))
	k := newKeys(t)
	h := serve(t, f, func(_ *hlsfallback.Config, p *hlsfallback.Parts) {
		p.Keys = k
		p.Authorize = func(_ context.Context, a hlsfallback.Ask) error {
			switch a.Token {
			case "of-" + a.Name:
				return nil
			case "":
				return media.ErrUnauthorized
			}
			return media.ErrForbidden
		}
	}).Handler()
	key, err := k.Key(t.Context(), media.KeyAsk{Stream: "show", Incarnation: "t5abcde000000001", Kind: media.VideoRendition})
	if err != nil {
		t.Fatal(err)
	}
	body := fmt.Sprintf(`{"kids":[%q],"type":"temporary"}`, base64.RawURLEncoding.EncodeToString(key.KeyID[:]))
	secret := base64.RawURLEncoding.EncodeToString(key.Secret[:])
	for _, c := range []struct {
		path, body, token string
		status            int
	}{
		{"/live/show/licence", body, "", 401},
		{"/live/show/licence", body, "of-other", 403},
		{"/live/show/licence", body, "of-show", 200},
		{"/live/show/licence?token=of-show", body, "", 200},
		{"/live/other/licence", body, "of-other", 404},
		{"/live/show/licence", `{"kids":["AAAAAAAAAAAAAAAAAAAAAA"]}`, "of-show", 404},
		{"/live/show/licence", `{}`, "of-show", 400},
		{"/live/show/licence", strings.Repeat(" ", 1<<20), "of-show", 400},
		{"/live/show/index.m3u8", body, "of-show", 405},
		{"/videos/show/licence", body, "of-show", 404},
	} {
		w := post(h, c.path, c.body, "Authorization", "Bearer "+c.token)
		if c.token == "" {
			w = post(h, c.path, c.body)
		}
		text := w.Body.String()
		if w.Code != c.status || strings.Contains(text, secret) != (c.status == 200) {
			t.Errorf("%s with %q: %d %s, expected %d", c.path, c.token, w.Code, text, c.status)
		}
		kind := map[bool]string{true: "application/json", false: media.ProblemMedia}[c.status == 200]
		if got := w.Header(); got.Get("Content-Type") != kind || c.status == 200 && got.Get("Cache-Control") != "no-store" {
			t.Error(got)
		}
	}
	if w := ask(h, "/live/show/licence", "Authorization", "Bearer of-show"); w.Code != 405 || w.Header().Get("Allow") != "POST, OPTIONS" {
		t.Error(w.Code, w.Header())
	}
	if w := ask(h, "OPTIONS /live/show/licence"); w.Code != 204 || !strings.Contains(w.Header().Get("Access-Control-Allow-Methods"), "POST") {
		t.Error(w.Code, w.Header())
	}
}

// Clear streams beside protected ones: the same bytes and addresses, and not one
// allocation more.
func TestClearStreamsPayNothing(t *testing.T) {
	s := stage.New("open")
	s.Bytes = 1000
	for range 4 {
		s.Segment(4)
	}
	f := newSource(s)
	plain, beside := serve(t, f, nil).Handler(), protected(t, f, newKeys(t))
	const at = "/live/open/t5abcde000000001/"
	for _, path := range []string{"/live/open/index.m3u8", "/live/open/manifest.mpd", at + "video-h/media.m3u8", at + "video-h/2.m4s", at + "video-h/init-0.mp4"} {
		if a, b := get(t, plain, path), get(t, beside, path); !bytes.Equal(a, b) {
			t.Error(path, "differs")
		}
	}
	if w := post(beside, "/live/open/licence", `{"kids":["AAAAAAAAAAAAAAAAAAAAAA"]}`); w.Code != 404 {
		t.Error(w.Code)
	}
	r := httptest.NewRequest("GET", at+"video-h/3.1.m4s", nil)
	cost := func(h http.Handler) float64 {
		return testing.AllocsPerRun(200, func() { h.ServeHTTP(idle{make(http.Header, 16)}, r) })
	}
	if a, b := cost(plain), cost(beside); b > a {
		t.Errorf("%v allocations instead of %v", b, a)
	}
}

// A recording of a protected stream is protected as the stream is, with the same keys,
// from disk, and its licences are at its own address.
func TestARecordingIsProtectedToo(t *testing.T) {
	s := screening(t, "avc")
	s.End()
	f := newSource(s)
	f.archive("video")
	k := newKeys(t)
	h := serve(t, f, func(_ *hlsfallback.Config, p *hlsfallback.Parts) { p.Live, p.Videos, p.Keys = nil, f, k }).Handler()
	text := string(get(t, h, "/videos/show/index.m3u8"))
	m := namedIn.FindStringSubmatch(text)
	if m == nil || !strings.Contains(text, `URI="/videos/show/licence"`) {
		t.Fatal(text)
	}
	at := "/videos/show/" + m[1] + "/video/"
	key, err := k.Key(t.Context(), media.KeyAsk{Stream: "show", Incarnation: "t5abcde000000001", Kind: media.VideoRendition})
	if err != nil {
		t.Fatal(err)
	}
	file := append(get(t, h, at+"init-0.mp4"), get(t, h, at+"2.m4s")...)
	all, err := films()
	if err != nil {
		t.Fatal(err)
	}
	parts := all["avc"].parts
	clear := bytes.Clone(all["avc"].section)
	for i := range 4 { // the stage counts parts from 1
		clear = append(clear, parts[(9+i)%len(parts)]...)
	}
	if got, want := opened(t, file, key.Secret[:]), opened(t, clear, nil); !bytes.Equal(got, want) {
		t.Errorf("%d bytes of pictures, expected %d", len(got), len(want))
	}
	body := fmt.Sprintf(`{"kids":[%q]}`, base64.RawURLEncoding.EncodeToString(key.KeyID[:]))
	if w := post(h, "/videos/show/licence", body); w.Code != 200 {
		t.Error(w.Code, w.Body)
	}
}

// meddler does something when the first bytes of an answer are out.
type meddler struct {
	*httptest.ResponseRecorder
	once sync.Once
	do   func()
}

func (m *meddler) Write(b []byte) (int, error) {
	n, err := m.ResponseRecorder.Write(b)
	m.once.Do(m.do)
	return n, err
}

// change shows a rendition in which something was changed.
func (f *source) change(rendition string, change func(r *media.Rendition)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := *f.p
	p.Version++
	p.Renditions = slices.Clone(p.Renditions)
	for i, r := range p.Renditions {
		if r.ID == rendition {
			one := *r
			one.Segments = slices.Clone(r.Segments)
			change(&one)
			p.Renditions[i] = &one
		}
	}
	f.p = &p
}

// Whoever reads slowly gets the same parts when the segment has left memory meanwhile,
// and with them what is known of its gaps.
func TestPartsStayTheSameWhenTheirSegmentIsOnlyOnDisk(t *testing.T) {
	f := newSource(screening(t, "avc"))
	for range 3 {
		f.do(func(s *stage.Stage) { s.Part("video") })
	}
	f.change("video", func(r *media.Rendition) {
		open := *r.Open
		open.Parts = slices.Clone(open.Parts)
		open.Parts[1].Gap, open.Parts[1].Data, open.Parts[1].Extent = true, nil, media.Extent{}
		r.Open = &open
	})
	other := protected(t, f, newKeys(t))
	at := protectedBase(t, other)
	want := append(append(get(t, other, at+"video/3.4.m4s"), get(t, other, at+"video/4.2.m4s")...), get(t, other, at+"video/4.3.m4s")...)
	h := protected(t, f, newKeys(t))
	w := &meddler{ResponseRecorder: httptest.NewRecorder(), do: func() {
		f.change("video", func(r *media.Rendition) {
			done := *r.Open
			done.Extent.Size = 0
			for _, part := range done.Parts {
				done.Extent.Size += int64(len(part.Data))
			}
			r.Open = nil
			r.Segments = append(r.Segments, &done)
		})
		f.archive("video")
		get(t, h, "/live/show/index.m3u8")
	}}
	func() {
		defer func() { _ = recover() }() // it is broken off: what else was in the segment is not known
		h.ServeHTTP(w, httptest.NewRequest("GET", at+"video/4.m4s", nil))
	}()
	if !bytes.Equal(w.Body.Bytes(), want) {
		t.Errorf("%d bytes came, and not the %d of the three parts", w.Body.Len(), len(want))
	}
}
