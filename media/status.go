package media

import "time"

// StreamStatus is one stream as the API, the pages and the console show it.
type StreamStatus struct {
	Stream    StreamID         `json:"stream"`
	Live      bool             `json:"live"`
	Epoch     Epoch            `json:"epoch,omitempty"`
	Since     time.Time        `json:"since,omitzero"` // when this epoch's first media came
	Public    bool             `json:"public"`
	Viewers   int              `json:"viewers"`
	Publisher *PublisherStatus `json:"publisher,omitempty"`
	Sessions  []ViewerStatus   `json:"sessions,omitempty"` // only for administrators
}

// PublisherStatus is the ingest side of a stream.
type PublisherStatus struct {
	Session   SessionID     `json:"session,omitempty"` // only for administrators
	Subject   string        `json:"subject,omitempty"` // only for administrators
	Transport string        `json:"transport"`         // "udp" or "tcp"
	RTT       Milliseconds  `json:"rtt_ms"`
	Bitrate   Bitrate       `json:"bitrate"`
	Packets   uint64        `json:"packets"`
	Lost      uint64        `json:"lost"`     // after repair
	Repaired  uint64        `json:"repaired"` // by retransmission or by copies (RED)
	LossRatio float64       `json:"loss"`     // of the last 10 s before repair, 0–1
	NACKs     uint64        `json:"nacks"`    // sent to the publisher
	PLIs      uint64        `json:"plis"`     // key frames asked of the publisher
	Tracks    []TrackStatus `json:"tracks"`
	Health    []Finding     `json:"health"` // what is wrong, in words; empty when all is well
}

// TrackStatus is one track of a publisher.
type TrackStatus struct {
	Kind        Kind        `json:"kind"`
	Codec       Codec       `json:"codec"`
	Name        string      `json:"name,omitempty"`     // of an audio track: TrackInfo.Name
	Language    string      `json:"language,omitempty"` // of an audio track (RFC 5646)
	Profile     string      `json:"profile,omitempty"`  // as the bitstream says
	Layers      []LayerInfo `json:"layers"`
	Lost        uint64      `json:"lost"`                     // after repair, of all layers
	Repaired    uint64      `json:"repaired"`                 // by retransmission or by copies (RED)
	KeyInterval float64     `json:"key_interval_s,omitempty"` // seconds between the last two key frames
}

// ViewerStatus is one viewer's session.
type ViewerStatus struct {
	Session   SessionID    `json:"session"`
	Subject   string       `json:"subject,omitempty"`
	Since     time.Time    `json:"since"`
	Transport string       `json:"transport"`
	RID       string       `json:"rid,omitempty"`
	Packets   uint64       `json:"packets"`
	Bytes     uint64       `json:"bytes"`
	Resent    uint64       `json:"resent"`
	Dropped   uint64       `json:"dropped"` // by this node, as the viewer was too slow
	LossRatio float64      `json:"loss"`    // as the viewer's last receiver report says, 0–1
	RTT       Milliseconds `json:"rtt_ms"`
	Jitter    Milliseconds `json:"jitter_ms"`
	Latency   Milliseconds `json:"latency_ms"`         // capture to the node's socket, where capture time is known
	Estimate  Bitrate      `json:"estimate,omitempty"` // what the viewer's link carries; 0 where nothing is measured
	Why       string       `json:"why,omitempty"`      // why the viewer gets this layer, in words
}

// Milliseconds is a duration as the API writes it.
type Milliseconds float64

// MS turns a duration into the API's milliseconds.
func MS(d time.Duration) Milliseconds { return Milliseconds(float64(d) / float64(time.Millisecond)) }

// Finding is one thing that is wrong with a publisher, in plain words.
type Finding struct {
	Code   string `json:"code"`            // stable, snake case: "no_key_frame", "b_frames", …
	Text   string `json:"text"`            // what is going on
	Advice string `json:"advice"`          // what to do
	Level  string `json:"level,omitempty"` // "warning" or "error"
}
