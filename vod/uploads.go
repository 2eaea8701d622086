package vod

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod/upload"
)

// usualStream is the name under which files are uploaded that say none.
const usualStream = media.StreamID("uploads")

// uploadsTo is a stream under which the caller may upload: the usual one if he may, else
// the first of his; empty when he may not at all.
func (l Leave) uploadsTo() media.StreamID {
	if l.mayChange(usualStream) == nil {
		return usualStream
	}
	for _, p := range l.Publish {
		name, open := strings.CutSuffix(string(p), "*")
		if open {
			name += string(usualStream)
		}
		if id, err := media.ParseStreamID(name); err == nil && p.Matches(id) {
			return id
		}
	}
	return ""
}

// uploadJSON is an upload as the API shows it.
type uploadJSON struct {
	upload.Info
	Parts    []partJSON `json:"parts"`
	Complete bool       `json:"complete"`
	Expires  time.Time  `json:"expires"` // of the URLs
}

// partJSON is a part: there, or with the URL to PUT it to.
type partJSON struct {
	Number int    `json:"number"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
	URL    string `json:"url,omitempty"`
}

func (v *Vod) postUpload(w http.ResponseWriter, r *http.Request) error {
	l, err := v.caller(r, false)
	if err != nil {
		return err
	}
	var in struct {
		Name   string `json:"name"`
		Size   int64  `json:"size"`
		Type   string `json:"type"`
		Title  string `json:"title"`
		Stream string `json:"stream"`
	}
	if err := readJSON(w, r, &in); err != nil {
		return err
	}
	stream := usualStream
	if in.Stream != "" {
		if stream, err = media.ParseStreamID(in.Stream); err != nil {
			return err
		}
	}
	if err := l.mayChange(stream); err != nil {
		return err
	}
	in.Type = strings.ToLower(strings.TrimSpace(in.Type))
	if demuxers[in.Type] == "" {
		return fmt.Errorf("%w: type is one of video/mp4, video/quicktime, video/webm, video/x-matroska, video/mp2t, audio/mp4, audio/mpeg and the like", errMediaType)
	}
	if badText(in.Name, maxTitle) || badText(in.Title, maxTitle) || in.Name == "" {
		return fmt.Errorf("%w: name and title have at most %d characters, and a name is needed", media.ErrBadQuery, maxTitle)
	}
	if in.Title = strings.TrimSpace(in.Title); in.Title == "" {
		in.Title = in.Name
	}
	now := v.now().UTC()
	info, err := v.uploads.Create(upload.Info{
		ID: newID(now), Stream: string(stream), Name: in.Name, Type: in.Type, Title: in.Title, Size: in.Size, Created: now, Owner: l.Subject,
	})
	if err != nil {
		return err
	}
	v.log.Info("upload began", "upload", info.ID, "stream", stream, "size", info.Size, "by", l.Subject)
	w.Header().Set("Location", "/v1/uploads/"+info.ID)
	return v.writeUpload(w, http.StatusCreated, info.ID)
}

// writeUpload shows an upload: what is there, and URLs for what is not.
func (v *Vod) writeUpload(w http.ResponseWriter, status int, id string) error {
	info, there, done, err := v.uploads.Upload(id)
	if err != nil {
		return err
	}
	info.Owner = ""
	out := uploadJSON{Info: info, Complete: done, Parts: make([]partJSON, info.Parts())}
	for i := range out.Parts {
		out.Parts[i] = partJSON{Number: i + 1, Size: info.PartSize(i + 1)}
		if !done {
			out.Parts[i].URL, out.Expires = v.uploads.URL(info, i+1, v.now().UTC())
		}
	}
	for _, p := range there {
		out.Parts[p.Number-1].SHA256, out.Parts[p.Number-1].URL = p.SHA256, ""
	}
	return writeJSON(w, status, out)
}

// upload is the one that the URL names, for a caller who may change its stream.
func (v *Vod) upload(r *http.Request) (upload.Info, error) {
	l, err := v.caller(r, false)
	if err != nil {
		return upload.Info{}, err
	}
	info, _, _, err := v.uploads.Upload(r.PathValue("upload"))
	if err != nil && l.Subject == "" {
		return info, media.ErrUnauthorized
	}
	if err == nil {
		err = l.mayChange(media.StreamID(info.Stream))
	}
	return info, err
}

func (v *Vod) showUpload(w http.ResponseWriter, r *http.Request) error {
	info, err := v.upload(r)
	if err != nil {
		return err
	}
	return v.writeUpload(w, http.StatusOK, info.ID)
}

func (v *Vod) deleteUpload(w http.ResponseWriter, r *http.Request) error {
	info, err := v.upload(r)
	if err != nil {
		return err
	}
	if _, _, done, err := v.uploads.Upload(info.ID); err == nil && done {
		return fmt.Errorf("%w: it is an asset already; delete that", errState)
	}
	if err := v.uploads.Remove(info.ID); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// slowest is how slow a sender of a part may be, bytes per second.
const slowest = 16 << 10

// putPart takes a part under its signed URL: that is all the right that it needs.
func (v *Vod) putPart(w http.ResponseWriter, r *http.Request) error {
	n, err := strconv.Atoi(r.PathValue("part"))
	if err != nil {
		return upload.ErrPart
	}
	info, _, _, err := v.uploads.Upload(r.PathValue("upload"))
	if err != nil {
		return upload.ErrSignature // whether there is one is not told
	}
	if err := v.uploads.Check(info, n, r.URL.Query(), v.now()); err != nil {
		return err
	}
	if got := strings.ToLower(r.Header.Get("Content-Type")); got != info.Type {
		return fmt.Errorf("%w: the URL is signed for %s", errMediaType, info.Type)
	}
	if r.ContentLength >= 0 && r.ContentLength != info.PartSize(n) {
		return fmt.Errorf("%w: %d bytes", upload.ErrSize, info.PartSize(n))
	}
	sum, err := digest(r.Header.Get("Content-Digest"))
	if err != nil {
		return err
	}
	select {
	case v.writing <- struct{}{}:
		defer func() { <-v.writing }()
	default:
		return errBusyParts
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(bodyTime + time.Duration(info.PartSize(n)/slowest)*time.Second))
	defer func() { _ = control.SetReadDeadline(time.Time{}) }()
	p, err := v.uploads.Write(info.ID, n, http.MaxBytesReader(w, r.Body, info.PartSize(n)+1), sum)
	if err != nil {
		return err
	}
	v.metrics.uploaded.Add(float64(p.Size))
	return writeJSON(w, http.StatusOK, partJSON{Number: p.Number, Size: p.Size, SHA256: p.SHA256})
}

// digest reads the SHA-256 of a Content-Digest header (RFC 9530 section 2).
func digest(header string) ([]byte, error) {
	if header == "" {
		return nil, nil
	}
	for member := range strings.SplitSeq(header, ",") {
		text, ok := strings.CutPrefix(strings.TrimSpace(member), "sha-256=:")
		if !ok {
			continue
		}
		sum, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, ":"))
		if err == nil && len(sum) == 32 {
			return sum, nil
		}
	}
	return nil, fmt.Errorf("%w: Content-Digest is read as sha-256=:…: in base64", media.ErrBadQuery)
}

func (v *Vod) completeUpload(w http.ResponseWriter, r *http.Request) error {
	info, err := v.upload(r)
	if err != nil {
		return err
	}
	if info, err = v.uploads.Complete(info.ID); err != nil {
		return err
	}
	a, err := v.adopt(context.WithoutCancel(r.Context()), info)
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/v1/assets/"+a.ID)
	l, err := v.caller(r, false)
	if err != nil {
		return err
	}
	return v.showOne(w, http.StatusAccepted, a, l)
}

// adopt makes the row of a complete upload; told again, it changes nothing.
func (v *Vod) adopt(ctx context.Context, i upload.Info) (media.Asset, error) {
	now := v.now().UTC()
	a := media.Asset{
		ID: i.ID, Stream: media.StreamID(i.Stream), Kind: media.Uploaded, Title: i.Title, State: media.AssetProcessing,
		Public: v.public(media.StreamID(i.Stream)), Started: i.Created, Size: i.Size, Created: now, Updated: now,
	}
	a.Path = recordingPath(a)
	version, err := v.parts.Store.Save(ctx, a, v.event(a, media.AssetBegan, i.Name)...)
	if errors.Is(err, media.ErrStale) {
		return v.parts.Store.Asset(ctx, a.ID)
	}
	if err != nil {
		return a, err
	}
	a.Version = version
	v.work.add(a.ID)
	return a, nil
}

// cleanUploads drops what nobody goes on with, and adopts what a crash left
// between the last part and the row.
func (v *Vod) cleanUploads(ctx context.Context) error {
	for _, id := range v.uploads.Stale(v.now().Add(-v.cfg.Uploads.Expiry)) {
		if err := v.uploads.Remove(id); err != nil {
			return err
		}
		v.log.Info("upload dropped", "upload", id)
	}
	for _, info := range v.uploads.Done() {
		a, err := v.adopt(ctx, info)
		if err != nil {
			return err
		}
		if a.State == media.AssetReady || a.State == media.AssetFailed {
			if err := v.uploads.Remove(a.ID); err != nil {
				return err
			}
		}
	}
	return nil
}
