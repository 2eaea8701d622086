package vod

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod/ffmpeg"
)

// maxSidecar bounds what is served from memory: sheets have 300 KB.
const maxSidecar = 16 << 20

// assetFile serves pictures and sidecars of an asset.
func (v *Vod) assetFile(w http.ResponseWriter, r *http.Request) error {
	name := r.PathValue("file")
	kind, ok := sidecar(name)
	if !ok {
		return errNoRoute
	}
	a, _, err := v.asset(r, true)
	if err != nil {
		return err
	}
	if a.State == media.AssetReady && !a.Thumbnail && !v.work.postponed(a.ID, v.now()) {
		v.work.add(a.ID) // it has no pictures yet: a crash, or ffmpeg came later
	}
	in, err := v.parts.Blobs.Open(r.Context(), picturePath(a)+"/"+name, 0, -1)
	if errors.Is(err, media.ErrNotFound) {
		return fmt.Errorf("%w: the asset has no %s", media.ErrNotFound, name)
	}
	if err != nil {
		return err
	}
	b, err := io.ReadAll(io.LimitReader(in, maxSidecar))
	if err = errors.Join(err, in.Close()); err != nil {
		return err
	}
	if token := r.URL.Query().Get("token"); token != "" && name == "storyboard.vtt" {
		// What is named in it is asked for without the header.
		b = bytes.ReplaceAll(b, []byte(".jpg#"), []byte(".jpg?token="+url.QueryEscape(token)+"#"))
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	age := time.Hour
	if strings.HasPrefix(name, "subtitles-") {
		age = goodFor // somebody may be correcting them
	}
	h.Set("Cache-Control", cacheControl(a.Public, age))
	http.ServeContent(w, r, "", a.Updated, bytes.NewReader(b))
	return nil
}

// sidecar returns the media type of a file that may be asked for.
func sidecar(name string) (kind string, ok bool) {
	switch {
	case name == "thumbnail.jpg":
		return "image/jpeg", true
	case name == "storyboard.vtt":
		return "text/vtt; charset=utf-8", true
	}
	if text, found := strings.CutPrefix(name, "storyboard-"); found {
		n, err := strconv.Atoi(strings.TrimSuffix(text, ".jpg"))
		return "image/jpeg", err == nil && n >= 0 && n < 100 && name == sheetName(n)
	}
	if text, found := strings.CutPrefix(name, "subtitles-"); found {
		text, found = strings.CutSuffix(text, ".vtt")
		return "text/vtt; charset=utf-8", found && len(text) > 0 && len(text) < 16 && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
	}
	return "", false
}

func cacheControl(public bool, age time.Duration) string {
	who := "private"
	if public {
		who = "public"
	}
	return fmt.Sprintf("%s, max-age=%d", who, int(age.Seconds()))
}

// streamPicture serves the picture of a live stream.
func (v *Vod) streamPicture(w http.ResponseWriter, r *http.Request) error {
	id, err := media.ParseStreamID(r.PathValue("stream"))
	if err != nil {
		return err
	}
	public := v.public(id)
	if l, err := v.caller(r, true); !public {
		if err == nil {
			err = l.mayPlay(id, public)
		}
		if err != nil {
			return err
		}
	}
	f, err := v.livePicture(r.Context(), id)
	if err == nil {
		err = f.why
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "image/jpeg")
	h.Set("Cache-Control", cacheControl(public, max(time.Second, v.cfg.ThumbnailAge-v.now().Sub(f.at))))
	http.ServeContent(w, r, "", f.at, bytes.NewReader(f.jpeg))
	return nil
}

// exportWait is how long an answer waits for the file; a longer one is asked for
// again.
const exportWait = 20 * time.Second

// exportAs serves an asset as one file, made when first asked for.
func (v *Vod) exportAs(webm bool) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		a, _, err := v.asset(r, true)
		if err != nil {
			return err
		}
		if a.State == media.AssetDeleting || a.State == media.AssetFailed || (a.State == media.AssetProcessing && a.Kind != media.Recorded) {
			return fmt.Errorf("%w: it is %s", errState, a.State)
		}
		spec, err := readSpec(r.URL.Query())
		if err != nil {
			return err
		}
		spec.webm = webm
		if a.State == media.AssetRecording && spec.to == 0 { // its end moves on while the file is made
			return fmt.Errorf("%w, or name an end", errRecording)
		}
		o, err := v.openCached(r.Context(), a.ID)
		if err != nil {
			return err
		}
		e, err := v.exports.get(o, spec)
		if err != nil {
			return err
		}
		wait := time.NewTimer(exportWait)
		defer wait.Stop()
		select {
		case <-e.ready:
			return v.serveExport(w, r, a, e)
		case <-wait.C:
		case <-r.Context().Done():
			return nil // nobody reads the answer
		}
		w.Header().Set("Retry-After", "2")
		return writeJSON(w, http.StatusAccepted, map[string]any{"state": "processing", "progress": v.exports.progress(e)})
	}
}

func readSpec(q url.Values) (exportSpec, error) {
	s := exportSpec{rendition: q.Get("rendition")}
	for name, into := range map[string]*time.Duration{"start": &s.from, "end": &s.to} {
		if q.Get(name) == "" {
			continue
		}
		n, err := strconv.ParseFloat(q.Get(name), 64)
		if err != nil || !(n >= 0 && n < 1e8) {
			return s, fmt.Errorf("%w: %s is in seconds since the asset's beginning", media.ErrBadQuery, name)
		}
		*into = seconds(n)
	}
	return s, nil
}

func (v *Vod) serveExport(w http.ResponseWriter, r *http.Request, a media.Asset, e *export) error {
	if e.err != nil {
		var failed *ffmpeg.ExitError
		if errors.As(e.err, &failed) {
			v.log.Warn("an asset could not be put into one file", "asset", a.ID, "err", e.err)
			return &errUnfit{"its codecs do not fit into this kind of file"}
		}
		return e.err
	}
	f, err := os.Open(e.path) //nolint:gosec // a name of ours
	if err != nil {
		return fmt.Errorf("%w: it was removed in this moment", errState)
	}
	defer func() { _ = f.Close() }() // it was only read
	kind, ending := "video/mp4", ".mp4"
	if strings.HasSuffix(e.path, ".webm") {
		kind, ending = "video/webm", ".webm"
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("Content-Disposition", `attachment; filename="`+fileName(a.Title)+ending+`"`)
	h.Set("Cache-Control", cacheControl(false, 0))
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{}) // it may be large
	http.ServeContent(w, r, "", a.Updated, f)
	return nil
}

// fileName is a title as every system takes it.
func fileName(title string) string {
	safe := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '-', c == '_', c == '.':
			return c
		}
		return '_'
	}, title)
	return safe[:min(len(safe), 80)]
}
