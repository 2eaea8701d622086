package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sluice-live/sluice/internal/store"
	"github.com/sluice-live/sluice/media"
)

// What is not live is 404 for who may play it, and 401 for who may not: so a link
// is tried without a publisher.
func TestASignedLinkOpensItsStreamAlone(t *testing.T) {
	dir := t.TempDir()
	n := serve(t, dir)
	link := strings.TrimSpace(want(t, "sign", "--data", dir, "lesson"))
	if got := status(t, n.http+link); got != 404 {
		t.Errorf("the link answers %d, not that nothing is there yet", got)
	}
	if got := status(t, n.http+strings.Replace(link, "lesson", "other", 1)); got != 401 {
		t.Errorf("the link of another stream answers %d", got)
	}
	if got := status(t, n.http+link+"x"); got != 401 {
		t.Errorf("a forged link answers %d", got)
	}
	elsewhere := strings.TrimSpace(want(t, "sign", "--data", dir, "--remote", "192.0.2.1", "lesson"))
	if got := status(t, n.http+elsewhere); got != 401 {
		t.Errorf("a link for another address answers %d", got)
	}
	if got := status(t, n.http+"/live/lesson/index.m3u8"); got != 401 {
		t.Errorf("without a token it answers %d", got)
	}
}

func TestKeysOfSignedLinksAreForTheirOwner(t *testing.T) {
	dir := t.TempDir()
	first := want(t, "sign", "--data", dir, "lesson")
	path := filepath.Join(dir, playKeysName)
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the file is %v: %v", info.Mode(), err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range strings.Fields(string(text))[1:] {
		if strings.Contains(first, secret) {
			t.Error("the link shows the secret")
		}
	}
	if err := os.WriteFile(path, []byte("k1 short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := sluice(t, "sign", "--data", dir, "lesson"); code == 0 || !strings.Contains(errs, "line 1") {
		t.Errorf("a broken file: exit code %d, %s", code, errs)
	}
	if code, _, errs := sluice(t, "sign", "--data", dir, "../x"); code == 0 || errs == "" {
		t.Errorf("a name that is none: exit code %d, %s", code, errs)
	}
}

// Who may see an asset by a link sees its pictures by the same link, and nothing else.
func TestASignedLinkShowsThePicturesOfItsAsset(t *testing.T) {
	dir := t.TempDir()
	rows, err := store.Open(t.Context(), filepath.Join(dir, "catalogue.db"))
	if err != nil {
		t.Fatal(err)
	}
	const id, second = "t000000000000001", "t000000000000002"
	for _, name := range []string{id, second} {
		a := media.Asset{ID: name, Stream: "lesson", Kind: media.Uploaded, Title: "x", State: media.AssetReady, Thumbnail: true, Storyboard: true,
			Started: time.Now(), Ended: time.Now(), Created: time.Now(), Updated: time.Now()}
		if _, err := rows.Save(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		beside := filepath.Join(dir, "objects", "assets", "lesson", name)
		if err := os.MkdirAll(beside, 0o700); err != nil {
			t.Fatal(err)
		}
		for file, text := range map[string]string{"thumbnail.jpg": "picture", "storyboard.vtt": "WEBVTT\n\nstoryboard-0.jpg#xywh=0,0,1,1\n"} {
			if err := os.WriteFile(filepath.Join(beside, file), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	n := serve(t, dir)
	link := strings.TrimSpace(want(t, "sign", "--data", dir, "--asset", id))
	_, token, _ := strings.Cut(link, "?token=")
	stream := strings.TrimSpace(want(t, "sign", "--data", dir, "lesson"))
	_, live, _ := strings.Cut(stream, "?token=")
	for path, code := range map[string]int{
		"/v1/assets/" + id + "/thumbnail.jpg":                      401,
		"/v1/assets/" + id + "/thumbnail.jpg?token=" + token:       200,
		"/v1/assets/" + id + "/storyboard.vtt?token=" + token:      200,
		"/v1/assets/" + id + "/thumbnail.jpg?token=" + token + "x": 401,
		"/v1/assets/" + second + "/thumbnail.jpg?token=" + token:   401,
		"/v1/assets/" + id + "/thumbnail.jpg?token=" + live:        401,
		"/v1/streams/lesson/thumbnail.jpg?token=" + live:           404, // nobody publishes it
		"/v1/streams/lesson/thumbnail.jpg?token=" + token:          401,
		"/v1/streams/other/thumbnail.jpg?token=" + live:            401,
	} {
		if got := status(t, n.http+path); got != code {
			t.Errorf("%s: %d, want %d", path, got, code)
		}
	}
	resp, text := ask(t, "GET", n.http+"/v1/assets/"+id+"/storyboard.vtt?token="+token, "", func(*http.Request) {})
	if !strings.Contains(text, "storyboard-0.jpg?token="+token+"#xywh") || !strings.HasPrefix(resp.Header.Get("Cache-Control"), "private") {
		t.Errorf("%v %s", resp.Header, text)
	}
	for method, code := range map[string]int{"GET": 200, "DELETE": 403} {
		resp, text := ask(t, method, n.http+"/v1/assets/"+id, "", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) })
		if resp.StatusCode != code {
			t.Errorf("%s: %d %s", method, resp.StatusCode, text)
		}
	}
}
