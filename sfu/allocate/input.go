package allocate

import (
	"fmt"

	"github.com/sluice-live/sluice/media"
)

// Option is one way to send a video: an encoding, whole or with some of its temporal or spatial layers only.
type Option struct {
	Layer    media.Layer
	Spatial  uint8 // highest to send; AllLayers for all
	Temporal uint8 // highest to send; AllLayers for all
	Width    int
	Height   int
	// Bitrate on the wire, headers included.
	Bitrate media.Bitrate
}

// AllLayers means that no spatial or temporal layer is left out.
const AllLayers = 255

// MaxOptions bounds the options of one video, MaxVideos the videos of one viewer.
const (
	MaxOptions = 16
	MaxVideos  = 32
)

// Video is one video that a viewer wants.
type Video struct {
	// Key tells it apart from call to call; the order of videos may change.
	Key uint32
	// Priority: the higher is served first; equals share step by step.
	Priority int
	// MaxWidth and MaxHeight are what the viewer has use for; 0 means no bound.
	MaxWidth, MaxHeight int
	// Options that flow now, in any order. The allocator sorts them by bitrate.
	Options []Option
}

// Input is what is known at one time.
type Input struct {
	// Estimate is what the link carries; Congested tells that a queue stands on it, Stalled that nothing comes back.
	Estimate  media.Bitrate
	Congested bool
	Stalled   bool
	// Audio is what sound takes, headers included. It is always sent.
	Audio  media.Bitrate
	Videos []Video
}

// Paused is the index of no option.
const Paused = -1

// Choice is what one video gets.
type Choice struct {
	Key    uint32
	Option Option
	// Paused: nothing of this video is sent, and Option is zero.
	Paused bool
	Reason Reason
}

// Result is a decision. Its slice is used again by the next one.
type Result struct {
	Choices []Choice
	// Wanted is what the link should carry for the next better choice, margins included: probe up to it. 0: all is had.
	Wanted media.Bitrate
	// Changed tells that some choice is another one than the last time.
	Changed bool
}

// Code says why a video gets what it gets.
type Code uint8

// The reasons.
const (
	Best    Code = iota // the best there is for the wanted size
	Size                // the viewer has no use for more
	Link                // the link carries no more
	Trying              // more may fit, and is being made sure of
	Held                // a step up failed not long ago
	Silent              // nothing comes back from the viewer
	Nothing             // no option flows
	Thin                // the link does not carry even the smallest picture
)

// Reason is why, with its number; String makes the sentence.
type Reason struct {
	Code Code
	Link media.Bitrate // the estimate
}

// String returns the reason as the player shows it.
func (r Reason) String() string {
	switch r.Code {
	case Best:
		return "best quality"
	case Size:
		return "fits the player's size"
	case Link:
		return "link " + rate(r.Link)
	case Trying:
		return "link " + rate(r.Link) + ", trying more"
	case Held:
		return "link " + rate(r.Link) + ", more failed before"
	case Silent:
		return "no answer from the viewer"
	case Thin:
		return "link " + rate(r.Link) + ", too thin for the picture"
	case Nothing:
		return "no picture is being sent"
	}
	return "unknown"
}

// rate writes a bitrate as people say it.
func rate(b media.Bitrate) string {
	if b < 950_000 {
		return fmt.Sprintf("%d kbit/s", (b+5_000)/10_000*10)
	}
	return fmt.Sprintf("%.1f Mbit/s", float64(b)/1e6)
}
