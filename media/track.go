package media

import (
	"fmt"
	"strings"
)

// Kind is the medium of a track.
type Kind uint8

// The two media that a stream carries.
const (
	Audio Kind = iota + 1
	Video
)

// String returns "audio" or "video".
func (k Kind) String() string {
	switch k {
	case Audio:
		return "audio"
	case Video:
		return "video"
	}
	return "unknown"
}

// MarshalText writes the kind as in String.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Codec is a media format that Sluice forwards.
type Codec uint8

// The codecs; RED only carries Opus (RFC 2198), and AAC is only made here, for who
// plays no Opus by HLS.
const (
	Opus Codec = iota + 1
	H264
	AV1
	VP9
	H265
	VP8
	RED
	AAC
)

var codecNames = [...]string{Opus: "Opus", H264: "H264", AV1: "AV1", VP9: "VP9", H265: "H265", VP8: "VP8", RED: "RED", AAC: "AAC"}

// String returns the codec's name as SDP writes it.
func (c Codec) String() string {
	if int(c) < len(codecNames) && codecNames[c] != "" {
		return codecNames[c]
	}
	return "unknown"
}

// MarshalText writes the codec as in String.
func (c Codec) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads a codec's name, in any case.
func (c *Codec) UnmarshalText(b []byte) error {
	parsed, err := ParseCodec(string(b))
	if err != nil {
		return err
	}
	*c = parsed
	return nil
}

// ParseCodec reads a codec's name as in SDP, in any case ("opus", "OPUS", "HEVC" and "H265").
func ParseCodec(name string) (Codec, error) {
	if strings.EqualFold(name, "hevc") {
		return H265, nil
	}
	for c, n := range codecNames {
		if n != "" && strings.EqualFold(n, name) {
			return Codec(c), nil
		}
	}
	return 0, fmt.Errorf("codec %q is not known; known are Opus, H264, AV1, VP9, H265, VP8", name)
}

// Kind returns the medium that the codec encodes.
func (c Codec) Kind() Kind {
	switch c {
	case Opus, RED, AAC:
		return Audio
	case H264, AV1, VP9, H265, VP8:
		return Video
	}
	return 0
}

// ClockRate returns the RTP clock rate in Hz: 48000 for audio, 90000 for video.
func (c Codec) ClockRate() uint32 {
	if c.Kind() == Audio {
		return 48000
	}
	return 90000
}

// TrackID tells the tracks of one stream apart. It is stable over epochs: the
// first audio track is AudioTrack, the video track is VideoTrack, and further
// audio tracks follow, see AudioTrackAt.
type TrackID uint8

// The tracks of an ordinary stream.
const (
	AudioTrack TrackID = 0
	VideoTrack TrackID = 1
)

// MaxAudio bounds the audio tracks of one stream: a language each. MaxTracks bounds
// all of its tracks: those, and one of video.
const (
	MaxAudio  = 4
	MaxTracks = MaxAudio + 1
)

// AudioTrackAt returns the audio track of that place, from 0.
func AudioTrackAt(n int) TrackID {
	if n == 0 {
		return AudioTrack
	}
	return VideoTrack + TrackID(n)
}

// Kind returns the medium of the track.
func (t TrackID) Kind() Kind {
	if t == VideoTrack {
		return Video
	}
	return Audio
}

// Layer is one simulcast encoding of a track, numbered in the order in which
// the publisher's answer lists them. The number is an identity, not a rank:
// rank layers by LayerInfo. Spatial layers inside one encoding (SVC) are told
// by Packet.Spatial.
type Layer int8

// MaxLayers bounds the simulcast encodings of one track.
const MaxLayers = 8

// AnyLayer means "no layer in particular".
const AnyLayer Layer = -1

// TrackInfo describes one track of an epoch.
type TrackInfo struct {
	ID     TrackID
	Kind   Kind
	Codec  Codec
	Params string // the codec's fmtp parameters as the publisher declared them
	// Language of an audio track (RFC 5646); empty when unknown. Name tells the audio
	// tracks of an epoch apart, in addresses as for people: [a-z0-9-]+, "audio" is the
	// first one, others are called "audio-es" by their language or "audio-2" by their
	// place.
	Language string
	Name     string
	// RIDs are the encodings that the publisher offered (RFC 8853), at the places of their
	// layers, whether it sends them or not; none without simulcast.
	RIDs   []string
	Layers []LayerInfo
}

// LayerInfo describes one encoding of a track as it flows now.
type LayerInfo struct {
	ID      Layer   `json:"-"`
	RID     string  `json:"rid,omitempty"`     // RFC 8851; empty without simulcast
	Width   int     `json:"width,omitempty"`   // pixels; 0 until the first key frame tells
	Height  int     `json:"height,omitempty"`  // pixels; 0 until the first key frame tells
	Bitrate Bitrate `json:"bitrate,omitempty"` // measured over the last second
	FPS     float64 `json:"fps,omitempty"`
	// Mean is the bitrate over a few seconds, key frames and what lies between
	// them alike: what a choice of layers may rest on.
	Mean Bitrate `json:"-"`
	// Temporal are the shares of Mean of the temporal layers up to 0 and up to 1;
	// 0 where there are none.
	Temporal [2]float64 `json:"-"`
	Active   bool       `json:"active"` // packets came within the last second
	// Wanted tells that some viewer or sink has use for the layer now, or will soon.
	Wanted bool `json:"wanted"`
	// Paused tells that the layer does not flow because nobody wants it, and that it
	// comes back when somebody does.
	Paused bool `json:"paused,omitempty"`
	// Rest tells that the publisher shall not send the layer for now.
	Rest bool `json:"-"`
}

// LayerSet is a set of the layers of one track, one bit for each.
type LayerSet uint8

// AllLayers is every layer that there may be.
const AllLayers LayerSet = 1<<MaxLayers - 1

// With returns the set with one layer more; AnyLayer changes nothing.
func (s LayerSet) With(l Layer) LayerSet {
	if l < 0 || int(l) >= MaxLayers {
		return s
	}
	return s | 1<<l
}

// Has reports whether a layer is in the set.
func (s LayerSet) Has(l Layer) bool { return l >= 0 && int(l) < MaxLayers && s&(1<<l) != 0 }

// Less orders layers from the smallest picture to the largest, then by
// bitrate, then by number.
func (l LayerInfo) Less(o LayerInfo) bool {
	if a, b := l.Width*l.Height, o.Width*o.Height; a != b {
		return a < b
	}
	if l.Bitrate != o.Bitrate && l.Width == 0 {
		return l.Bitrate < o.Bitrate
	}
	return l.ID < o.ID
}
