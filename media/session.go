package media

import (
	"net/netip"
	"time"
)

// Offer is the body of one WHIP or WHEP POST with what the door knows of its
// sender.
type Offer struct {
	Stream  StreamID
	Session SessionID // minted by the door; unguessable
	SDP     []byte
	Arrived netip.Addr // the local address on which the request came in; invalid when unknown
	Remote  netip.Addr // the client's address
	Subject string     // who: "key:<id>" or "token:<jti>"; never a secret
	At      time.Time  // when the POST arrived
	// Audio is which audio track a viewer wants, see SessionView.Audio; empty: the first.
	Audio string
}

// Answer is the body of the 201 and the identity of its ICE session.
type Answer struct {
	SDP []byte
	// ICE identifies the ICE session (unique per restart); the door quotes it as
	// the entity-tag (RFC 9725 section 4.3.1).
	ICE string
}

// Fragment is an SDP fragment of a trickle or restart PATCH (RFC 8840), or the
// answer to a restart.
type Fragment struct {
	Ufrag, Pwd string
	MID        string   // the BUNDLE-tagged m-line
	Candidates []string // values of a=candidate, without the "a=candidate:" prefix
	End        bool     // a=end-of-candidates
	Lite       bool     // a=ice-lite; in answers to a restart
	// Arrived and Remote are as in Offer; the door sets them.
	Arrived, Remote netip.Addr
}

// LayerChoice is what a viewer asks for by the WHEP layer extension. The zero
// value is automatic. Negative numbers mean "not given".
type LayerChoice struct {
	MID         string
	RID         string
	Spatial     int
	Temporal    int
	MaxSpatial  int
	MaxTemporal int
	MaxWidth    int
	MaxHeight   int
}

// AutomaticChoice asks for whatever the server thinks best.
func AutomaticChoice() LayerChoice {
	return LayerChoice{Spatial: -1, Temporal: -1, MaxSpatial: -1, MaxTemporal: -1, MaxWidth: -1, MaxHeight: -1}
}

// SessionView is what one session's owner may know of it now: the source of
// the server-sent events and of the page's stats.
type SessionView struct {
	Stream    StreamID
	Publisher bool
	Active    bool   // media flows
	Reason    string // why not, in a sentence; empty while active
	Viewers   int
	// Tracks are the stream's tracks; Mids gives the m-line index that carries each in this session.
	Tracks  []TrackInfo
	MLine   map[TrackID]int
	Choice  LayerChoice
	Current Layer // the video layer that is being sent, AnyLayer if none
	// Sound is the audio track that a viewer gets. Audio is what it asked for: the name
	// of a track, or languages (RFC 4647), the dearest first; empty: the first track.
	Sound TrackID
	Audio string
	// Encodings are what a publisher of several layers shall send; nil for viewers.
	Encodings []Encoding
	// Why this layer, in words ("link 0.9 Mbit/s"); empty where nothing is measured.
	Why string
	// Reconnect asks the client to POST again: true when the node drains. URL may be empty (same endpoint).
	Reconnect    bool
	ReconnectURL string
	Ended        bool
}

// Encoding says whether a publisher shall send one of its layers. It has the
// names of the browsers' RTCRtpEncodingParameters.
type Encoding struct {
	RID    string `json:"rid"`
	Active bool   `json:"active"`
}

// Demand is what a sink or a relay wants of a stream.
type Demand struct {
	Audio bool
	Video bool
	// Layers wanted; empty means all.
	Layers []Layer
}
