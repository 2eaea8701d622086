package publish

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/sluice-live/sluice/loadtest/source"
)

// Shape says which client's habits the publisher has.
type Shape string

// The shapes. Facts about each are from clients run on the wire.
const (
	// Default is pion/webrtc: transport-cc, RTX, RIDs with mid and rid on each
	// packet, abs-capture-time; answers key frame requests.
	Default Shape = "default"
	// OBS 32: no RTX, no transport-cc, mid and rid on video only, ignores key
	// frame requests, answers NACKs for the top layer only, ends DTLS before DELETE.
	OBS Shape = "obs"
	// FFmpeg 9: DTLS server (setup:passive), no header extensions, only the
	// answer's first candidate, nack but no pli, RTX by FID.
	FFmpeg Shape = "ffmpeg"
	// GStreamer (simple-whip-client): audio is bundle-only with port 0, video
	// comes first, no header extensions, trickles in fragments whose m-line is wrong.
	GStreamer Shape = "gstreamer"
)

// Shapes lists all of them.
func Shapes() []Shape { return []Shape{Default, OBS, FFmpeg, GStreamer} }

// Config is one publisher's wish.
type Config struct {
	URL, Token string
	Shape      Shape // empty means Default
	Media      *source.Media
	Client     *http.Client  // nil means link.NewClient()
	IgnorePLI  bool          // also for shapes that would answer
	Late       time.Duration // how long after connecting the first media comes
	Loss       float64       // share of RTP packets that never leave, 0–1; NACKs bring them back
	NoReports  bool          // no RTCP sender reports (light shapes only)
	// Profile is the profile-level-id to declare instead of the media's own.
	Profile string
}

func (c *Config) validate() error {
	if c.Shape == "" {
		c.Shape = Default
	}
	if c.Media == nil || len(c.Media.Layers) == 0 {
		return errors.New("publish: there is no media")
	}
	if c.Loss < 0 || c.Loss >= 1 {
		return fmt.Errorf("publish: a loss of %v is not in 0–1", c.Loss)
	}
	switch c.Shape {
	case Default, OBS:
	case FFmpeg, GStreamer:
		if len(c.Media.Layers) > 1 {
			return fmt.Errorf("publish: %s knows no simulcast", c.Shape)
		}
	default:
		return fmt.Errorf("publish: shape %q is not known; known are %v", c.Shape, Shapes())
	}
	return nil
}

// Stats is what a publisher counted. Layers are from the smallest picture up.
type Stats struct {
	Shape      Shape         `json:"shape"`
	Answered   time.Duration `json:"answered_ns"`  // POST to 201
	Connected  time.Duration `json:"connected_ns"` // POST to SRTP keys
	Packets    uint64        `json:"packets"`
	Bytes      uint64        `json:"bytes"`
	Frames     uint64        `json:"frames"`  // of the top layer
	Late       uint64        `json:"late"`    // of these left a frame interval or more after their time: this machine is too busy
	Dropped    uint64        `json:"dropped"` // packets lost on purpose
	PLIs       []uint64      `json:"plis"`    // key frames asked for (PLI and FIR), per layer
	NACKed     uint64        `json:"nacked"`  // sequence numbers asked for
	Resent     uint64        `json:"resent"`
	Reports    uint64        `json:"receiver_reports"`
	Congestion uint64        `json:"congestion_feedback"` // transport-cc and REMB packets
	Estimate   uint64        `json:"remb_bps,omitempty"`  // the last REMB
	Trickled   []int         `json:"trickled,omitempty"`  // statuses of trickle PATCHes
	Deleted    int           `json:"deleted,omitempty"`   // status of the DELETE
}
