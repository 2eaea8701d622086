package vod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/webvtt"
)

// maxSubtitles bounds one language of an asset, in bytes: eight hours of speech are
// about half a megabyte.
const maxSubtitles = 2 << 20

func subtitleKey(a media.Asset, language string) string {
	return picturePath(a) + "/subtitles-" + language + ".vtt"
}

// putSubtitle stores one language.
func (v *Vod) putSubtitle(ctx context.Context, a media.Asset, language string, f *webvtt.File) error {
	b := webvtt.Append(nil, f.Shift(0), false)
	if err := v.parts.Blobs.Put(ctx, subtitleKey(a, language), bytes.NewReader(b), int64(len(b))); err != nil {
		return fmt.Errorf("store the subtitles of %s: %w", a.ID, err)
	}
	return nil
}

// subtitle reads one language; its times count from the asset's beginning.
func (v *Vod) subtitle(ctx context.Context, a media.Asset, language string) (*webvtt.File, error) {
	r, err := v.parts.Blobs.Open(ctx, subtitleKey(a, language), 0, -1)
	if err != nil {
		return nil, fmt.Errorf("read the subtitles of %s: %w", a.ID, err)
	}
	b, err := io.ReadAll(io.LimitReader(r, 2*maxSubtitles))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("read the subtitles of %s: %w", a.ID, err)
	}
	f, err := webvtt.Parse(b)
	if err != nil {
		return nil, fmt.Errorf("read the subtitles of %s: %w", a.ID, err)
	}
	return f, nil
}

// endedVersion is above all versions of the snapshots that a recorder showed: one for
// each part, of years.
const endedVersion = 1 << 40

// subtitled is what is played of an asset that has ended: with its subtitles as
// renditions of one segment. What they are called changes with what they say, so that
// what caches keep is never wrong. cost is that of the text, in segments.
func (v *Vod) subtitled(ctx context.Context, a media.Asset, p *media.Presentation) (play *media.Presentation, cost int64) {
	if p == nil || !p.Ended {
		return p, 0
	}
	from, to, ok := span(p)
	if !ok {
		return p, 0
	}
	out := *p
	out.Version = endedVersion + uint64(a.Version)
	out.Renditions = slices.Clone(p.Renditions)
	for _, language := range a.Subtitles {
		f, err := v.subtitle(ctx, a, language)
		if err != nil { // it plays without them
			v.log.Error("subtitles cannot be played", "asset", a.ID, "language", language, "err", err)
			continue
		}
		r := textRendition(language, webvtt.Append(nil, f.Shift(from), true), from, to)
		out.Renditions = append(out.Renditions, r)
		cost += r.Segments[0].Extent.Size / bytesOfSegment
	}
	return &out, cost
}

// bytesOfSegment is what a segment costs in memory, about.
const bytesOfSegment = 200

// textScale is the timescale of text: WebVTT has milliseconds.
const textScale = 1000

func textRendition(language string, data []byte, from, to time.Duration) *media.Rendition {
	start, size := media.Ticks(from.Milliseconds()), int64(len(data))
	length := media.Ticks(to.Milliseconds()) - start
	rate := media.Bitrate(float64(size*8)/max((to-from).Seconds(), 1)) + 1
	tag, number, _ := strings.Cut(language, "-")
	if number == "" || strings.Trim(number, "0123456789") != "" {
		tag = language // else it is the second of its language in an upload
	}
	return &media.Rendition{
		ID: fmt.Sprintf("subtitles-%s-%08x", language, crc32.ChecksumIEEE(data)), Kind: media.SubtitleRendition, Codec: "wvtt",
		Timescale: textScale, Language: tag, Name: media.LanguageName(language), Bandwidth: rate, Mean: rate,
		Segments: []*media.Segment{{
			Start: start, Duration: length, Independent: true, Extent: media.Extent{Size: size},
			Parts: []media.Part{{Start: start, Duration: length, Independent: true, Extent: media.Extent{Size: size}, Data: data}},
		}},
	}
}

// keepCaptions makes subtitles of what was captioned live, and returns the languages.
func (v *Vod) keepCaptions(ctx context.Context, a media.Asset, m *media.Manifest) ([]string, error) {
	if len(m.Captions) == 0 {
		return a.Subtitles, nil
	}
	from, to, ok := span(m.Presentation)
	if !ok {
		return a.Subtitles, nil
	}
	begin := m.Presentation.Start.Add(from)
	said := map[string]*webvtt.File{}
	languages := slices.Clone(a.Subtitles)
	for _, c := range m.Captions {
		f := said[c.Language]
		if f == nil {
			f = &webvtt.File{}
			said[c.Language] = f
		}
		f.Cues = append(f.Cues, webvtt.Cue{Start: c.Start.Sub(begin), End: c.End.Sub(begin), Text: webvtt.Escape(c.Text)})
	}
	for language, f := range said {
		f = f.Cut(0, to-from)
		if len(f.Cues) == 0 {
			continue
		}
		f.Cues = f.Cues[:min(len(f.Cues), webvtt.MaxCues)]
		if err := v.putSubtitle(ctx, a, language, f); err != nil {
			return nil, err
		}
		if !slices.Contains(languages, language) {
			languages = append(languages, language)
		}
	}
	slices.Sort(languages)
	return languages, nil
}

// clipSubtitles cuts the parent's subtitles as the clip was cut.
func (v *Vod) clipSubtitles(ctx context.Context, clip media.Asset, parent *opened, show *media.Presentation) error {
	begin, _, ok := span(parent.show)
	from, to, also := span(show)
	if !ok || !also || len(parent.asset.Subtitles) == 0 {
		return nil
	}
	var languages []string
	for _, language := range parent.asset.Subtitles {
		f, err := v.subtitle(ctx, parent.asset, language)
		if errors.Is(err, media.ErrNotFound) {
			continue // deleted in this moment
		}
		if err != nil {
			return err
		}
		if f = f.Cut(from-begin, to-begin); len(f.Cues) == 0 {
			continue
		}
		if err := v.putSubtitle(ctx, clip, language, f.Shift(begin-from)); err != nil {
			return err
		}
		languages = append(languages, language)
	}
	if len(languages) == 0 {
		return nil
	}
	_, err := v.change(ctx, clip.ID, func(a *media.Asset) ([]media.AssetEvent, error) {
		a.Subtitles = languages
		return nil, nil
	})
	return err
}

// editable is the asset that the URL names, for a caller who may change it, and the
// language that it names.
func (v *Vod) editable(r *http.Request) (a media.Asset, l Leave, language string, err error) {
	a, l, err = v.asset(r, false)
	if err == nil {
		err = l.mayChange(a.Stream)
	}
	if err == nil {
		language, err = media.ParseLanguage(r.PathValue("language"))
	}
	if err == nil && a.State != media.AssetReady {
		err = fmt.Errorf("%w: it is %s", errState, a.State)
	}
	return a, l, language, err
}

// putSubtitles takes a WebVTT file as the subtitles in a language.
func (v *Vod) putSubtitles(w http.ResponseWriter, r *http.Request) error {
	a, l, language, err := v.editable(r)
	if err != nil {
		return err
	}
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind != "text/vtt" {
		return fmt.Errorf("%w: send text/vtt", errMediaType)
	}
	b, err := readBody(w, r, maxSubtitles)
	if err != nil {
		return err
	}
	f, err := webvtt.Parse(b)
	if err != nil {
		return err
	}
	if len(f.Cues) == 0 {
		return fmt.Errorf("%w: there is no cue in it", webvtt.ErrSyntax)
	}
	if err := unseen(r, nil, a); err != nil {
		return err
	}
	status := http.StatusOK
	if !slices.Contains(a.Subtitles, language) {
		status = http.StatusCreated
	}
	// Begun, it does not depend on who asked for it.
	ctx := context.WithoutCancel(r.Context())
	if err := v.putSubtitle(ctx, a, language, f); err != nil {
		return err
	}
	a, err = v.change(ctx, a.ID, func(a *media.Asset) ([]media.AssetEvent, error) {
		switch {
		case a.State == media.AssetDeleting:
			return nil, media.ErrNotFound
		case slices.Contains(a.Subtitles, language):
			return nil, nil // a new version all the same: its text is another
		case len(a.Subtitles) >= media.MaxLanguages:
			return nil, fmt.Errorf("%w: an asset has at most %d languages", errState, media.MaxLanguages)
		}
		a.Subtitles = append(slices.Clone(a.Subtitles), language)
		slices.Sort(a.Subtitles)
		return nil, nil
	})
	if err != nil {
		return err
	}
	v.log.Info("subtitles changed", "asset", a.ID, "language", language, "cues", len(f.Cues), "by", l.Subject)
	return v.showOne(w, status, a, l)
}

// deleteSubtitles takes the subtitles in a language away.
func (v *Vod) deleteSubtitles(w http.ResponseWriter, r *http.Request) error {
	a, l, language, err := v.editable(r)
	if err != nil {
		return err
	}
	ctx := context.WithoutCancel(r.Context())
	a, err = v.change(ctx, a.ID, func(a *media.Asset) ([]media.AssetEvent, error) {
		if !slices.Contains(a.Subtitles, language) {
			return nil, fmt.Errorf("%w: the asset has no subtitles in this language", media.ErrNotFound)
		}
		if err := unseen(r, nil, *a); err != nil {
			return nil, err
		}
		a.Subtitles = slices.DeleteFunc(slices.Clone(a.Subtitles), func(s string) bool { return s == language })
		return nil, nil
	})
	if err != nil {
		return err
	}
	if err := v.parts.Blobs.Delete(ctx, subtitleKey(a, language)); err != nil && !errors.Is(err, media.ErrNotFound) {
		v.log.Error("subtitles not deleted", "asset", a.ID, "language", language, "err", err)
	}
	v.log.Info("subtitles deleted", "asset", a.ID, "language", language, "by", l.Subject)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
