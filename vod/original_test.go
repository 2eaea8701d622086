package vod_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"testing"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod"
)

// What somebody uploaded is there for its owners as it came, as long as the asset is.
func TestTheOriginalIsKept(t *testing.T) {
	h := newHouse(t, nil)
	path := lesson(t, 3)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	id := h.upload(path, "video/mp4", "school.math")
	h.wait(id, "the asset is ready", isReady)
	own := "/v1/assets/" + id
	shown := h.want(200, "GET", own, teacher, nil)
	if o, _ := shown["original"].(map[string]any); o == nil || o["url"] != own+"/original" || o["name"] != "lesson.mp4" || o["type"] != "video/mp4" || o["size"] != float64(len(data)) {
		t.Errorf("its owner is shown %v", shown["original"])
	}
	if shown := h.want(200, "GET", own, pupil, nil); shown["original"] != nil {
		t.Errorf("a viewer is shown %v", shown["original"])
	}
	h.want(401, "GET", own+"/original", "", nil)
	h.want(403, "GET", own+"/original", pupil, nil)
	res, got := h.do("GET", own+"/original", teacher, nil)
	if res.StatusCode != 200 || !bytes.Equal(got, data) || res.Header.Get("Content-Type") != "video/mp4" ||
		res.Header.Get("Content-Disposition") != "attachment; filename=lesson.mp4" || res.Header.Get("Cache-Control") != "private, max-age=0" {
		t.Errorf("%d %v, %d bytes of %d", res.StatusCode, res.Header, len(got), len(data))
	}
	res, got = h.do("GET", own+"/original?token="+teacher, "", nil, "Range", "bytes=1000-1999")
	if res.StatusCode != 206 || !bytes.Equal(got, data[1000:2000]) || res.Header.Get("Content-Range") != fmt.Sprintf("bytes 1000-1999/%d", len(data)) {
		t.Errorf("a range: %d %v", res.StatusCode, res.Header)
	}
	h.blobs.setFail(func(op, key string) error { return http.ErrHandlerTimeout })
	if res, _ := h.do("GET", own+"/original", teacher, nil); res.StatusCode != 500 || res.Header.Get("Content-Disposition") != "" {
		t.Errorf("without the store: %d %v", res.StatusCode, res.Header)
	}
	h.blobs.setFail(nil)
	h.want(202, "DELETE", own, teacher, nil)
	testnetGone(h, own)
	if keys := h.blobs.keys(""); len(keys) != 0 {
		t.Errorf("left behind: %v", keys)
	}
}

func TestTheOriginalIsNotKept(t *testing.T) {
	h := newHouse(t, func(c *vod.Config) { c.Uploads.Originals = false })
	id := h.upload(lesson(t, 3), "video/mp4", "school.math")
	a := h.wait(id, "the asset is ready", isReady)
	if keys := h.blobs.keys("originals/"); len(keys) != 0 || a.Original != (media.Original{}) {
		t.Errorf("%v, %+v", keys, a.Original)
	}
	h.want(404, "GET", "/v1/assets/"+id+"/original", teacher, nil)
}

// Who asks too often is told when to come again; pictures are for everybody.
func TestRequestsOfOneAddressAreBounded(t *testing.T) {
	h := newHouse(t, func(c *vod.Config) { c.Limits = vod.LimitConfig{PerSecond: 0.1, Burst: 3} })
	for range 3 {
		h.want(200, "GET", "/v1/assets", pupil, nil)
	}
	res, text := h.do("GET", "/v1/assets", pupil, nil)
	if res.StatusCode != 429 || res.Header.Get("Retry-After") == "" || !bytes.Contains(text, []byte("urn:sluice:problem:rate")) {
		t.Errorf("%d %v %s", res.StatusCode, res.Header, text)
	}
	for _, path := range []string{"/v1/assets/t00000000000000a/thumbnail.jpg", "/v1/streams/open/thumbnail.jpg"} {
		if res, _ := h.do("GET", path, pupil, nil); res.StatusCode != 404 {
			t.Errorf("%s: %d", path, res.StatusCode)
		}
	}
}
