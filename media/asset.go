package media

import "time"

// Asset is a recording, an upload or a clip: what the catalogue knows of it.
type Asset struct {
	// ID is the incarnation that was recorded: 16 characters [a-z0-9] that begin
	// with the time, so that they sort by it.
	ID string
	// Stream whose recording it is. Rights on the stream are rights on the asset.
	Stream      StreamID
	Kind        AssetKind
	Title       string
	Description string
	// Labels are for finding: genres, courses, whatever its owners sort by.
	Labels []string
	// Public assets may be played without a token.
	Public bool
	State  AssetState
	// Reason says in a sentence why it failed, or what could not be made of it.
	Reason   string
	Started  time.Time // UTC
	Ended    time.Time // zero while it records
	Duration time.Duration
	Size     int64    // bytes, all renditions
	Codecs   []string // RFC 6381, each once
	// Width and Height of the largest picture, pixels.
	Width, Height int
	Renditions    []AssetRendition
	Gaps          []Gap
	// Path is where its files are in the blob store, without a slash at the end;
	// empty as long as they are on the node that records alone.
	Path string
	// Thumbnail and Storyboard tell that they are there.
	Thumbnail, Storyboard bool
	// Subtitles are the languages of the WebVTT files beside it, "und" if unknown. Their
	// times count from the asset's beginning.
	Subtitles []string
	// Original is the file that an upload was made of, when it is kept.
	Original Original
	// Keep is how many days after Ended it is kept: 0 as the stream's rule says, -1
	// for ever.
	Keep  int
	Views int64
	// Parent is the asset that a clip was cut from.
	Parent string
	// Version rises with each change; a change says which one it has seen.
	Version          int64
	Created, Updated time.Time
}

// Original is an uploaded file as it came; without a Size there is none.
type Original struct {
	Name string `json:"name"`
	Type string `json:"type"` // media type
	Size int64  `json:"size"` // bytes
}

// AssetKind is where an asset came from.
type AssetKind string

// Where assets come from.
const (
	Recorded AssetKind = "recording"
	Uploaded AssetKind = "upload"
	Clipped  AssetKind = "clip"
)

// AssetState is how far an asset is.
type AssetState string

// How far assets are. One that records may be played already.
const (
	AssetRecording  AssetState = "recording"
	AssetProcessing AssetState = "processing"
	AssetReady      AssetState = "ready"
	AssetFailed     AssetState = "failed"
	AssetDeleting   AssetState = "deleting"
)

// AssetRendition is what the catalogue shows of a rendition.
type AssetRendition struct {
	ID      string  `json:"id"`
	Codec   string  `json:"codec"` // RFC 6381
	Width   int     `json:"width,omitempty"`
	Height  int     `json:"height,omitempty"`
	Bitrate Bitrate `json:"bitrate"` // measured mean
	// Language of sound and subtitles (RFC 5646); empty when unknown.
	Language string `json:"language,omitempty"`
}

// Gap is a hole in a rendition, as time since the presentation's start.
type Gap struct {
	Rendition string        `json:"rendition"`
	Start     time.Duration `json:"start"`
	End       time.Duration `json:"end"`
	Why       string        `json:"why,omitempty"`
}

// Manifest is what is kept beside the bytes of a finished asset (manifest.json):
// enough to play it.
type Manifest struct {
	// Presentation without the data of parts.
	Presentation *Presentation
	// Gaps is the gap index: every hole, in the order of time.
	Gaps []Gap
	// Captions came while it was live, with the times that they were given.
	Captions []Caption `json:",omitempty"`
}

// AssetOrder is what a list of assets is sorted by. The identifier breaks ties.
type AssetOrder string

// What lists are sorted by; a minus in front turns the order round.
const (
	ByStarted  AssetOrder = "started"
	ByTitle    AssetOrder = "title"
	ByDuration AssetOrder = "duration"
	ByViews    AssetOrder = "views"
)

// AssetQuery asks for assets. Each field that is set narrows the choice.
type AssetQuery struct {
	// Words must all begin a word of the title, the description, the labels, or the
	// stream's name.
	Words  []string
	Stream StreamID
	State  AssetState
	Label  string
	// Streams are patterns of which one must match, or else, if OrPublic is set, the
	// asset must be public. Nil is every asset; empty is none.
	Streams  []Pattern
	OrPublic bool
	// Own asks for those that are kept for days of their own.
	Own         bool
	EndedBefore time.Time

	Order   AssetOrder
	Reverse bool
	// After continues behind this asset: AssetPage.Next of the page before.
	After string
	Limit int
}

// AssetPage is a page of a list.
type AssetPage struct {
	Assets []Asset
	// Next continues the list; empty at its end.
	Next string
}

// AssetEvent is one thing that happened to an asset. The rows of events are the
// catalogue's outbox: whoever reads them goes on after the last Seq that it knows. Old
// ones are deleted; a Seq is never given again.
type AssetEvent struct {
	Seq    int64
	Asset  string
	Stream StreamID
	Kind   AssetEventKind
	At     time.Time
	Detail string // why it failed, where it is stored
}

// AssetEventKind is what happened to an asset.
type AssetEventKind string

// What happens to assets.
const (
	AssetBegan   AssetEventKind = "began"
	AssetEnded   AssetEventKind = "ended"
	AssetStored  AssetEventKind = "stored" // Detail is the path in the blob store
	AssetIsReady AssetEventKind = "ready"
	AssetFell    AssetEventKind = "failed"
	AssetDeleted AssetEventKind = "deleted"
)
