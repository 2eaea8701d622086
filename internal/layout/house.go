package layout

// House is the table that the source is held against. Paths are relative to the
// module; a place covers the packages beneath it.
type House struct {
	Module string
	// Rooms import media and their own parts, and nothing else of the house.
	Rooms []string
	// Kernels decide: no clock, no lock, no goroutine, no socket.
	Kernels []string
	// Parsers are the modules that a kernel may import.
	Parsers []string
	// Forbidden are packages of the standard library that a kernel does not touch.
	Forbidden []string
	// Allowed are exceptions to Forbidden.
	Allowed []string
	// Guarded modules appear in some places only.
	Guarded map[string][]string
	// MaxFile and MaxFunc are lengths in lines, tests apart.
	MaxFile, MaxFunc int
}

// Sluice is the house of this repository (ARCHITECTURE.md, floors and rules).
func Sluice() House {
	return House{
		Module: "github.com/sluice-live/sluice",
		Rooms:  []string{"signaling", "sfu", "cascade", "recorder", "hls-fallback", "vod", "ads", "class", "clients"},
		Kernels: []string{
			"media",
			"signaling/sdpfrag", "signaling/problem",
			"sfu/layer", "sfu/munge", "sfu/keyframe", "sfu/report", "sfu/feedback", "sfu/negotiate", "sfu/allocate",
			"sfu/icelite", "sfu/red", "sfu/playout", "sfu/compound", "sfu/demand", "sfu/conform", "sfu/admit",
			"cascade/plan", "cascade/demand",
			"recorder/timeline", "recorder/segment", "recorder/cmaf", "recorder/webm", "recorder/captions",
			"hls-fallback/playlist", "hls-fallback/dash", "hls-fallback/rules", "hls-fallback/places", "hls-fallback/stitch",
			"hls-fallback/edge/cache", "hls-fallback/edge/cmcd", "hls-fallback/protect", "hls-fallback/clearkey",
			"vod/aac", "vod/board", "vod/fragment",
			"ads/scte35", "ads/vast", "ads/splice",
			"class/moderate", "class/schedule", "class/replay",
		},
		Parsers: []string{
			"github.com/pion/rtp", "github.com/pion/rtcp", "github.com/pion/sdp/v3", "github.com/pion/stun/v4",
			"github.com/Eyevinn/mp4ff", "github.com/Eyevinn/dash-mpd", "github.com/bluenviron/mediacommon/v2",
		},
		Forbidden: []string{"net", "os", "log", "context", "sync", "syscall", "runtime", "testing"},
		Allowed:   []string{"net/netip", "net/url", "sync/atomic"},
		Guarded: map[string][]string{
			"github.com/pion/webrtc/v4": {"sfu", "loadtest", "internal/testnet"},
			"github.com/pion/turn/v5":   {"sfu/turn"},
		},
		MaxFile: 600,
		MaxFunc: 100,
	}
}

const (
	roof    = "cmd"
	load    = "loadtest"
	ground  = "media"
	beside  = "internal"
	testnet = "internal/testnet"
)

// clockCalls are functions of package time that read or wait for the clock.
var clockCalls = []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}
