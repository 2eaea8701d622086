package signaling

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/sluice-live/sluice/media"
)

// eventNames are the events of the server-sent-events extension that we send to
// viewers, and audio, which is ours; publisherEvents are those for publishers, which
// no draft knows.
var (
	eventNames      = []string{"active", "inactive", "layers", "viewercount", "reconnect", "audio"}
	publisherEvents = []string{"encodings"}
)

// events are those that a session of this role may ask for.
func (r role) events() []string {
	if r == publisher {
		return publisherEvents
	}
	return eventNames
}

// event is one server-sent event; data is one line of JSON.
type event struct {
	name string
	data []byte
}

// bitrates is how often changed bitrates alone are worth a layers event.
const bitrates = 5 * time.Second

// teller turns snapshots of a session into events: it decides, and knows
// nothing of HTTP. Not safe for concurrent use.
type teller struct {
	wanted []string

	played bool // active was seen: from now on inactive is news
	moved  bool // reconnect was told, once for good

	// What the present connection was told; fresh forgets it.
	active   *bool
	viewers  *int
	layers   string // without bitrates
	rates    string // with them
	layersAt time.Time
	sounds   string

	encodings []media.Encoding
}

// fresh begins a connection, which is told everything that holds now.
func (t *teller) fresh() {
	t.active, t.viewers, t.layers, t.rates, t.encodings, t.sounds = nil, nil, "", "", nil, ""
}

// tell returns what has changed. inactive never comes first: a viewer before
// the publisher knows nothing else, and the draft forbids it.
func (t *teller) tell(v media.SessionView, now time.Time) []event {
	var out []event
	say := func(name string, data any) {
		if b, err := json.Marshal(data); err == nil && slices.Contains(t.wanted, name) {
			out = append(out, event{name, b})
		}
	}
	active := v.Active && !v.Ended
	if t.active == nil || *t.active != active {
		switch {
		case active:
			say("active", struct{}{})
		case t.played:
			say("inactive", inactive{v.Reason})
		}
		t.active, t.played = &active, t.played || active
	}
	if v.Ended {
		return out
	}
	if still, rates := layerLists(v); still != "" && t.layersDue(still, rates, now) {
		t.layers, t.rates, t.layersAt = still, rates, now
		say("layers", json.RawMessage(rates))
	}
	if list := t.soundList(v); list != t.sounds {
		t.sounds = list
		say("audio", json.RawMessage(list))
	}
	if !slices.Equal(v.Encodings, t.encodings) {
		t.encodings = v.Encodings
		say("encodings", v.Encodings)
	}
	if t.viewers == nil || *t.viewers != v.Viewers {
		t.viewers = &v.Viewers
		say("viewercount", viewerCount{v.Viewers})
	}
	if v.Reconnect && !t.moved {
		t.moved = true
		say("reconnect", reconnect{v.ReconnectURL})
	}
	return out
}

func (t *teller) layersDue(still, rates string, now time.Time) bool {
	return still != t.layers || rates != t.rates && now.Sub(t.layersAt) >= bitrates
}

type inactive struct {
	Reason string `json:"reason,omitempty"`
}

type viewerCount struct {
	Viewers int `json:"viewercount"`
}

type reconnect struct {
	URL string `json:"url,omitempty"`
}

// layer is one encoding in a layers event. The draft spells height once as
// "heigth"; its examples, and we, write height. A layer without a bitrate is
// inactive. Current is ours: the layer that is being sent.
type layer struct {
	RID     string        `json:"rid,omitempty"`
	Spatial *int          `json:"spatialLayerId,omitempty"`
	Bitrate media.Bitrate `json:"bitrate,omitempty"`
	Width   int           `json:"width,omitempty"`
	Height  int           `json:"height,omitempty"`
	Current bool          `json:"current,omitempty"`
	Why     string        `json:"why,omitempty"` // ours too: why this one, in words
}

// layerLists are the video layers by m-line index, largest first, as JSON: once
// without what only bitrates change, and once whole. Both are "" without video.
func layerLists(v media.SessionView) (still, rates string) {
	calm, full := make(map[string][]layer), make(map[string][]layer)
	for _, tr := range v.Tracks {
		line, ok := v.MLine[tr.ID]
		if !ok || tr.Kind != media.Video {
			continue
		}
		infos := slices.Clone(tr.Layers)
		slices.SortFunc(infos, func(a, b media.LayerInfo) int {
			if b.Less(a) {
				return -1
			}
			return 1
		})
		at := strconv.Itoa(line)
		for _, info := range infos {
			l := layerOf(info, v)
			full[at] = append(full[at], l)
			l.Bitrate = min(l.Bitrate, 1)
			calm[at] = append(calm[at], l)
		}
	}
	if len(full) == 0 {
		return "", ""
	}
	a, _ := json.Marshal(calm) // strings and numbers only
	b, _ := json.Marshal(full)
	return string(a), string(b)
}

func layerOf(info media.LayerInfo, v media.SessionView) layer {
	l := layer{RID: info.RID, Width: info.Width, Height: info.Height, Current: info.ID == v.Current}
	if l.Current {
		l.Why = v.Why
	}
	if info.RID == "" {
		// One of rid, spatialLayerId and temporalLayerId must be there.
		l.Spatial = new(int)
	}
	switch {
	case info.Active:
		// No bitrate means inactive, and a layer that began just now has none yet.
		l.Bitrate = max(1, info.Bitrate)
	case info.Paused: // it can be had: it comes when it is chosen
		l.Bitrate = max(1, info.Mean)
	}
	return l
}
