package media

import "time"

// WhenAbsent says what a viewer gets before there is a publisher.
type WhenAbsent string

// A viewer without a publisher waits (201, media later) or is refused (409).
const (
	AbsentWait   WhenAbsent = "wait"
	AbsentRefuse WhenAbsent = "refuse"
)

// WhenTaken says what a second publisher gets.
type WhenTaken string

// A second publisher takes the stream over, or is refused (409).
const (
	TakenTakeover WhenTaken = "takeover"
	TakenReject   WhenTaken = "reject"
)

// Policy is what the configuration says of one stream.
type Policy struct {
	Absent WhenAbsent
	Second WhenTaken
	Public bool // may be played and listed without a token
	HLS    bool // is packaged for LL-HLS and DASH while it is live
	Record bool // becomes an asset
	// Protect says how HLS and DASH of it are encrypted, live and recorded; empty is
	// ProtectNone.
	Protect Protect
	// Hold is how long viewers are kept after the publisher left.
	Hold time.Duration
	// Codecs that a publisher may use, most wanted first.
	Codecs []Codec
	// Languages of a publisher's audio tracks by their place (RFC 5646), where its
	// offer does not tell; "" is unknown.
	Languages []string
	// Captions are languages that live captions will come in, as ParseLanguage returns
	// them: HLS has their renditions from the beginning on.
	Captions []string
	// MaxBitrate of a publisher over all its tracks; 0 means no limit.
	MaxBitrate Bitrate
	// MaxHeight of the picture in pixels; 0 means no limit.
	MaxHeight int
}

// DefaultPolicy waits for publishers, lets a newer one take over, asks for a
// token, and prefers codecs that every output can carry.
func DefaultPolicy() Policy {
	return Policy{
		Absent:    AbsentWait,
		Second:    TakenTakeover,
		HLS:       true,
		Record:    true,
		Protect:   ProtectNone,
		Hold:      30 * time.Second,
		Codecs:    []Codec{H264, AV1, VP9, H265, VP8},
		Languages: []string{},
		Captions:  []string{},
		// Twice an HD contribution feed; a plain sentence is sent to whoever goes over.
		MaxBitrate: 20_000_000,
	}
}
