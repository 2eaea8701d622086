package vod

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/sluice-live/sluice/media"
)

// Bounds of what people write, in characters; longer texts are refused.
const (
	maxTitle       = 200
	maxDescription = 10_000
	maxLabels      = 32
	maxLabel       = 64
	maxQuery       = 200
)

const (
	usualLimit = 50
	maxLimit   = 200
)

// caller is who asks; inURL for media files, where a token in the URL counts.
func (v *Vod) caller(r *http.Request, inURL bool) (Leave, error) {
	if v.parts.Authorize == nil {
		return Leave{}, nil
	}
	return v.parts.Authorize(r, inURL)
}

// asset is the one that the URL names, for a caller who may play it. Whether there
// is one is told to those who may know. A public one may be seen by everybody,
// whatever token they hold.
func (v *Vod) asset(r *http.Request, inURL bool) (media.Asset, Leave, error) {
	l, refused := v.caller(r, inURL)
	id := r.PathValue("asset")
	a, err := media.Asset{}, media.ErrNotFound
	if validID(id) {
		a, err = v.parts.Store.Asset(r.Context(), id)
	}
	switch {
	case err == nil && a.Public:
		return a, l, nil
	case refused != nil:
		return a, l, refused
	case err == nil:
		return a, l, l.mayPlayAsset(a)
	case errors.Is(err, media.ErrNotFound) && l.Subject == "":
		err = media.ErrUnauthorized
	case errors.Is(err, media.ErrNotFound):
		err = fmt.Errorf("%w: there is no such asset", media.ErrNotFound)
	}
	return a, l, err
}

func (v *Vod) listAssets(w http.ResponseWriter, r *http.Request) error {
	l, err := v.caller(r, false)
	if err != nil {
		return err
	}
	q, err := readQuery(r.URL.Query())
	if err != nil {
		return err
	}
	if !l.Admin {
		// Never nil: that would be every stream.
		q.Streams, q.OrPublic = append(append([]media.Pattern{}, l.Play...), l.Publish...), true
	}
	page, err := v.parts.Store.Assets(r.Context(), q)
	if err != nil {
		return err
	}
	out := struct {
		Assets []assetJSON `json:"assets"`
		Next   string      `json:"next,omitempty"`
		// UploadTo is a stream under which the caller may upload; left out when there is none.
		UploadTo media.StreamID `json:"upload_to,omitempty"`
	}{Assets: []assetJSON{}, Next: page.Next, UploadTo: l.uploadsTo()}
	for _, a := range page.Assets {
		out.Assets = append(out.Assets, v.show(a, l))
	}
	return writeJSON(w, http.StatusOK, out)
}

func readQuery(in url.Values) (media.AssetQuery, error) {
	q := media.AssetQuery{
		Words: strings.Fields(in.Get("q")), State: media.AssetState(in.Get("state")), Label: in.Get("label"), After: in.Get("cursor"), Limit: usualLimit,
	}
	if len(in.Get("q")) > maxQuery || len(q.Label) > maxLabel*utf8.UTFMax || len(q.After) > 4*maxQuery || !utf8.ValidString(in.Get("q")+q.Label) ||
		strings.ContainsRune(in.Get("q")+q.Label, 0) {
		return q, fmt.Errorf("%w: q has at most %d bytes of text, label %d", media.ErrBadQuery, maxQuery, maxLabel)
	}
	order := in.Get("sort")
	if order == "" {
		order = "-" + string(media.ByStarted)
	}
	order, q.Reverse = strings.CutPrefix(order, "-")
	q.Order = media.AssetOrder(order)
	known := []media.AssetOrder{media.ByStarted, media.ByTitle, media.ByDuration, media.ByViews}
	if !slices.Contains(known, q.Order) {
		return q, fmt.Errorf("%w: sort is one of started, title, duration, views, with a minus in front for the other way round", media.ErrBadQuery)
	}
	states := []media.AssetState{"", media.AssetRecording, media.AssetProcessing, media.AssetReady, media.AssetFailed}
	if !slices.Contains(states, q.State) {
		return q, fmt.Errorf("%w: state is one of recording, processing, ready, failed", media.ErrBadQuery)
	}
	if text := in.Get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > maxLimit {
			return q, fmt.Errorf("%w: limit is from 1 to %d", media.ErrBadQuery, maxLimit)
		}
		q.Limit = n
	}
	if text := in.Get("stream"); text != "" {
		id, err := media.ParseStreamID(text)
		if err != nil {
			return q, err
		}
		q.Stream = id
	}
	return q, nil
}

func (v *Vod) showAsset(w http.ResponseWriter, r *http.Request) error {
	a, l, err := v.asset(r, false)
	if err != nil {
		return err
	}
	return v.showOne(w, http.StatusOK, a, l)
}

// patch is what may be changed. What is left out stays.
type patch struct {
	Title       *string   `json:"title"`
	Description *string   `json:"description"`
	Labels      *[]string `json:"labels"`
	Public      *bool     `json:"public"`
	Keep        *int      `json:"keep_days"`
	Version     *int64    `json:"version"`
}

func (p patch) validate() error {
	switch {
	case p.Title != nil && (badText(*p.Title, maxTitle) || strings.TrimSpace(*p.Title) == ""):
		return fmt.Errorf("%w: a title has from 1 to %d characters", media.ErrBadQuery, maxTitle)
	case p.Description != nil && badText(*p.Description, maxDescription):
		return fmt.Errorf("%w: a description has at most %d characters", media.ErrBadQuery, maxDescription)
	case p.Labels != nil && (len(*p.Labels) > maxLabels || slices.ContainsFunc(*p.Labels, func(l string) bool { return badText(l, maxLabel) || strings.TrimSpace(l) == "" })):
		return fmt.Errorf("%w: there are at most %d labels of %d characters", media.ErrBadQuery, maxLabels, maxLabel)
	case p.Keep != nil && (*p.Keep < -1 || *p.Keep > maxOwnKeep):
		return fmt.Errorf("%w: keep_days is -1 (for ever), 0 (as the stream's rule says) or a number of days up to %d", media.ErrBadQuery, maxOwnKeep)
	}
	return nil
}

func badText(text string, most int) bool {
	return !utf8.ValidString(text) || utf8.RuneCountInString(text) > most || strings.ContainsRune(text, 0)
}

func (p patch) apply(a *media.Asset) {
	if p.Title != nil {
		a.Title = strings.TrimSpace(*p.Title)
	}
	if p.Description != nil {
		a.Description = *p.Description
	}
	if p.Labels != nil {
		a.Labels = slices.Clone(*p.Labels)
		for i := range a.Labels {
			a.Labels[i] = strings.TrimSpace(a.Labels[i])
		}
	}
	if p.Public != nil {
		a.Public = *p.Public
	}
	if p.Keep != nil {
		a.Keep = *p.Keep
	}
}

// unseen refuses a change by somebody who has not seen the present version: by
// If-Match, or in the body. Who names none takes what is there.
func unseen(r *http.Request, version *int64, a media.Asset) error {
	if match := r.Header.Get("If-Match"); match != "" && match != "*" {
		tags := strings.Split(match, ",")
		if !slices.ContainsFunc(tags, func(tag string) bool { return strings.TrimSpace(tag) == etag(a.Version) }) {
			return media.ErrStale
		}
	}
	if version != nil && *version != a.Version {
		return media.ErrStale
	}
	return nil
}

func (v *Vod) patchAsset(w http.ResponseWriter, r *http.Request) error {
	a, l, err := v.asset(r, false)
	if err == nil {
		err = l.mayChange(a.Stream)
	}
	if err != nil {
		return err
	}
	var p patch
	if err := readJSON(w, r, &p); err != nil {
		return err
	}
	if err := p.validate(); err != nil {
		return err
	}
	a, err = v.change(r.Context(), a.ID, func(a *media.Asset) ([]media.AssetEvent, error) {
		if a.State == media.AssetDeleting {
			return nil, media.ErrNotFound
		}
		if err := unseen(r, p.Version, *a); err != nil {
			return nil, err
		}
		p.apply(a)
		return nil, nil
	})
	if err != nil {
		return err
	}
	return v.showOne(w, http.StatusOK, a, l)
}

func (v *Vod) deleteAsset(w http.ResponseWriter, r *http.Request) error {
	a, l, err := v.asset(r, false)
	if err == nil {
		err = l.mayChange(a.Stream)
	}
	if err != nil {
		return err
	}
	// Begun, it does not depend on who asked for it.
	err = v.delete(context.WithoutCancel(r.Context()), a.ID, func(a media.Asset) error {
		if a.State == media.AssetRecording {
			return errRecording
		}
		return unseen(r, nil, a)
	})
	if err != nil {
		return err
	}
	v.log.Info("asset is being deleted", "asset", a.ID, "stream", a.Stream, "by", l.Subject)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

func (v *Vod) postClip(w http.ResponseWriter, r *http.Request) error {
	a, l, err := v.asset(r, false)
	if err == nil {
		err = l.mayChange(a.Stream)
	}
	if err != nil {
		return err
	}
	var in struct {
		Start float64 `json:"start"`
		End   float64 `json:"end"`
		Title string  `json:"title"`
	}
	if err := readJSON(w, r, &in); err != nil {
		return err
	}
	if !(in.Start >= 0 && in.End > in.Start && in.End < 1e8) || badText(in.Title, maxTitle) {
		return fmt.Errorf("%w: start and end are seconds since the asset's beginning, end after start", media.ErrBadQuery)
	}
	clip, err := v.clip(r.Context(), a, seconds(in.Start), seconds(in.End), strings.TrimSpace(in.Title))
	if err != nil {
		return err
	}
	begin := clip.Started.Sub(a.Started).Seconds()
	out := struct {
		assetJSON
		Start float64 `json:"start"` // where it was really cut, in the parent's time
		End   float64 `json:"end"`
	}{v.show(clip, l), begin, begin + clip.Duration.Seconds()}
	w.Header().Set("Location", "/v1/assets/"+clip.ID)
	return writeJSON(w, http.StatusCreated, out)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// postView counts a view, once per viewer and half hour.
func (v *Vod) postView(w http.ResponseWriter, r *http.Request) error {
	a, l, err := v.asset(r, true)
	if err != nil {
		return err
	}
	who := l.Subject
	if who == "" {
		who, _, _ = strings.Cut(r.RemoteAddr, "]:")
		if i := strings.LastIndexByte(who, ':'); i > 0 && strings.Count(who, ":") == 1 {
			who = who[:i]
		}
		who += " " + r.UserAgent()[:min(len(r.UserAgent()), 64)]
	}
	v.views.add(a.ID, who, v.now())
	w.WriteHeader(http.StatusNoContent)
	return nil
}
