package vod

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// assetJSON is an asset as the API shows it. Times are RFC 3339, durations seconds.
type assetJSON struct {
	ID          string                 `json:"id"`
	Stream      media.StreamID         `json:"stream"`
	Kind        media.AssetKind        `json:"kind"`
	Title       string                 `json:"title"`
	Description string                 `json:"description"`
	Labels      []string               `json:"labels"`
	Public      bool                   `json:"public"`
	State       media.AssetState       `json:"state"`
	Reason      string                 `json:"reason,omitempty"`
	Progress    *float64               `json:"progress,omitempty"` // 0 to 1, of work that goes on
	Started     time.Time              `json:"started"`
	Ended       *time.Time             `json:"ended,omitempty"`
	Duration    float64                `json:"duration"`
	Size        int64                  `json:"size"`
	Codecs      []string               `json:"codecs"`
	Width       int                    `json:"width,omitempty"`
	Height      int                    `json:"height,omitempty"`
	Renditions  []media.AssetRendition `json:"renditions"`
	// Complete tells that nothing is missing; Missing is how many seconds are, of any
	// rendition; Gaps says where, in the answer for one asset.
	Complete   bool      `json:"complete"`
	Missing    float64   `json:"missing"`
	Gaps       []gapJSON `json:"gaps,omitempty"`
	Playable   bool      `json:"playable"`
	HLS        string    `json:"hls,omitempty"`
	DASH       string    `json:"dash,omitempty"`
	Export     string    `json:"export,omitempty"`
	Thumbnail  string    `json:"thumbnail,omitempty"`
	Storyboard string    `json:"storyboard,omitempty"`
	Subtitles  []subJSON `json:"subtitles,omitempty"`
	// Original is the file as it was uploaded; for those who may change the asset.
	Original *originalJSON `json:"original,omitempty"`
	Keep     int           `json:"keep_days"`
	Expires  *time.Time    `json:"expires,omitempty"`
	Views    int64         `json:"views"`
	Parent   string        `json:"parent,omitempty"`
	Path     string        `json:"path,omitempty"` // in the blob store; for those who may change it
	Editable bool          `json:"editable"`       // the caller may change it
	Version  int64         `json:"version"`
	Created  time.Time     `json:"created"`
	Updated  time.Time     `json:"updated"`
}

type gapJSON struct {
	Rendition string  `json:"rendition"`
	Start     float64 `json:"start"`
	End       float64 `json:"end"`
	Why       string  `json:"why,omitempty"`
}

type originalJSON struct {
	media.Original
	URL string `json:"url"`
}

type subJSON struct {
	Language string `json:"language"`
	URL      string `json:"url"`
}

// show is an asset for somebody.
func (v *Vod) show(a media.Asset, l Leave) assetJSON {
	out := assetJSON{
		ID: a.ID, Stream: a.Stream, Kind: a.Kind, Title: a.Title, Description: a.Description, Labels: orEmpty(a.Labels), Public: a.Public,
		State: a.State, Reason: a.Reason, Started: a.Started, Duration: a.Duration.Seconds(), Size: a.Size, Codecs: orEmpty(a.Codecs),
		Width: a.Width, Height: a.Height, Renditions: orEmpty(a.Renditions), Keep: a.Keep, Views: a.Views, Parent: a.Parent,
		Version: a.Version, Created: a.Created, Updated: a.Updated,
	}
	if a.State == media.AssetRecording {
		out.Duration = max(0, v.now().Sub(a.Started).Seconds())
	}
	if !a.Ended.IsZero() {
		out.Ended = &a.Ended
	}
	if at := v.kept(a); !at.IsZero() {
		out.Expires = &at
	}
	if part, ok := v.work.told(a.ID); ok {
		out.Progress = &part
	}
	if l.mayChange(a.Stream) == nil {
		out.Path, out.Editable = a.Path, true
		if a.Original.Size > 0 {
			out.Original = &originalJSON{a.Original, "/v1/assets/" + a.ID + "/original"}
		}
	}
	out.Missing = missing(a.Gaps).Seconds()
	out.Complete = a.State == media.AssetReady && len(a.Gaps) == 0
	out.Playable = a.State == media.AssetReady || a.Kind == media.Recorded && (a.State == media.AssetRecording || a.State == media.AssetProcessing)
	if out.Playable {
		out.HLS, out.DASH = "/videos/"+a.ID+"/index.m3u8", "/videos/"+a.ID+"/manifest.mpd"
	}
	own := "/v1/assets/" + a.ID
	if a.State == media.AssetReady {
		out.Export = own + "/export.mp4"
		if onlyVP8(a) {
			out.HLS, out.DASH, out.Export = "", "", own+"/export.webm"
		}
	}
	if a.Thumbnail {
		out.Thumbnail = own + "/thumbnail.jpg"
	} else if a.State == media.AssetRecording {
		out.Thumbnail = "/v1/streams/" + string(a.Stream) + "/thumbnail.jpg"
	}
	if a.Storyboard {
		out.Storyboard = own + "/storyboard.vtt"
	}
	for _, s := range a.Subtitles {
		out.Subtitles = append(out.Subtitles, subJSON{Language: s, URL: own + "/subtitles-" + s + ".vtt"})
	}
	return out
}

// onlyVP8 reports whether all pictures of an asset are VP8.
func onlyVP8(a media.Asset) bool {
	vp8, others := false, false
	for _, r := range a.Renditions {
		vp8 = vp8 || r.Codec == codecVP8
		others = others || r.Codec != codecVP8 && r.Width > 0
	}
	return vp8 && !others
}

func orEmpty[T any](all []T) []T {
	if all == nil {
		return []T{}
	}
	return all
}

// missing is the time in which some rendition has a hole.
func missing(gaps []media.Gap) (total time.Duration) {
	sorted := slices.SortedFunc(slices.Values(gaps), func(a, b media.Gap) int { return int(a.Start - b.Start) })
	end := time.Duration(-1 << 63)
	for _, g := range sorted {
		if g.End > end {
			total += g.End - max(g.Start, end)
			end = g.End
		}
	}
	return total
}

func gapsJSON(gaps []media.Gap) []gapJSON {
	var all []gapJSON
	for _, g := range gaps {
		all = append(all, gapJSON{g.Rendition, g.Start.Seconds(), g.End.Seconds(), g.Why})
	}
	return all
}

// etag is a version as HTTP writes it.
func etag(version int64) string { return fmt.Sprintf("%q", fmt.Sprint(version)) }

// showOne writes the answer for one asset.
func (v *Vod) showOne(w http.ResponseWriter, status int, a media.Asset, l Leave) error {
	out := v.show(a, l)
	out.Gaps = gapsJSON(a.Gaps)
	w.Header().Set("ETag", etag(a.Version))
	return writeJSON(w, status, out)
}
