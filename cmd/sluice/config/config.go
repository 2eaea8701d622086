package config

import (
	"net/netip"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Config is everything that can be configured. The YAML keys are the interface:
// a field may move, a key may not.
type Config struct {
	// HTTP is the main address without TLS; empty turns it off.
	HTTP string `yaml:"http"`
	// HTTPS is the main address with TLS; empty turns it off.
	HTTPS string `yaml:"https"`
	// Admin is the address of metrics and profiles.
	Admin string `yaml:"admin"`
	// Media is the one port of all media: UDP, and TCP for ICE-TCP.
	Media string `yaml:"media"`
	// MediaPortable reads and writes one datagram at a time, as every system can:
	// for kernels and drivers on which batches misbehave.
	MediaPortable bool `yaml:"media_portable"`
	// MediaTransport says what carries sessions: lite, pion, or auto, which is lite but
	// for clients that it cannot serve.
	MediaTransport string `yaml:"media_transport"`
	// Turn is the address of the TURN relay to the media port, UDP and TCP; empty
	// turns it off.
	Turn string `yaml:"turn"`
	// TurnTLS is the address of the same relay over TLS.
	TurnTLS string `yaml:"turn_tls"`
	// TurnHost is the name or address of this node in the URLs of its relay; empty:
	// the first public address, or the name under which a client came.
	TurnHost string `yaml:"turn_host"`
	// Public addresses are announced first, as host candidates.
	Public []netip.Addr `yaml:"public"`
	// Data is the directory of keys, the certificate and the node's memory.
	Data string `yaml:"data"`
	// Join names nodes of a cluster to find.
	Join []string `yaml:"join"`

	TLS        TLS         `yaml:"tls"`
	Log        Log         `yaml:"log"`
	Tokens     Tokens      `yaml:"tokens"`
	ICEServers []ICEServer `yaml:"ice_servers"`
	WHIP       WHIP        `yaml:"whip"`
	Limits     Limits      `yaml:"limits"`
	HLS        HLS         `yaml:"hls"`
	// Database is the URL of the catalogue of recordings: postgres://…, or empty for
	// a file in the data directory (SQLite).
	Database string `yaml:"database"`
	// Storage is the URL of where recordings are kept: file:///…, s3://bucket?…, or
	// empty for the data directory.
	Storage string  `yaml:"storage"`
	Uploads Uploads `yaml:"uploads"`
	// Streams are policies by stream name; the first whose pattern matches counts.
	Streams []Stream `yaml:"streams"`
}

// TLS names a certificate and its key. Both empty: the node makes its own and
// keeps it in the data directory.
type TLS struct {
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Log says how much is logged and in which form.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn, error
	Format string `yaml:"format"` // text, json
}

// Tokens says whose tokens are honoured besides the node's own.
type Tokens struct {
	// JWKSURL is where the public keys of another issuer are read (RFC 7517).
	JWKSURL string `yaml:"jwks_url"`
	// JWKSIssuer, when set, is the iss claim that their tokens must carry.
	JWKSIssuer string `yaml:"jwks_issuer"`
	// JWKSPrivate allows a JWKSURL on plain http or in a private network.
	JWKSPrivate bool `yaml:"jwks_private"`
}

// ICEServer is a STUN or TURN server that clients are told of (RFC 9725 section 4.6).
type ICEServer struct {
	URLs       []string `yaml:"urls"`
	Username   string   `yaml:"username"`
	Credential string   `yaml:"credential"`
}

// WHIP holds what can be chosen where RFC 9725 and its clients disagree.
type WHIP struct {
	// Strict answers 428 to a PATCH without If-Match, as RFC 9725 asks, instead
	// of reading it as "*", as widely used clients need.
	Strict bool `yaml:"strict"`
}

// Limits keep one client from taking everybody's share. Zero turns a rate off.
type Limits struct {
	// TrustedProxies may name the client in X-Forwarded-For; from all others the
	// header is ignored.
	TrustedProxies []netip.Prefix `yaml:"trusted_proxies"`
	// Sessions bounds the publishers and viewers of this node; one more gets 503.
	Sessions int `yaml:"sessions"`
	// RequestsPerSecond and RequestsBurst bound the session requests (POST,
	// PATCH, DELETE) of one address; of one /64 for IPv6.
	RequestsPerSecond float64 `yaml:"requests_per_second"`
	RequestsBurst     int     `yaml:"requests_burst"`
	// CataloguePerSecond and CatalogueBurst bound the requests of one address to
	// /v1/assets and /v1/uploads, pictures and parts of uploads apart.
	CataloguePerSecond float64 `yaml:"catalogue_per_second"`
	CatalogueBurst     int     `yaml:"catalogue_burst"`
	// PublishesPerSecond bounds the publishing attempts of one token or key.
	PublishesPerSecond float64 `yaml:"publishes_per_second"`
	// FailedAuthPerMinute bounds the wrong tokens of one address.
	FailedAuthPerMinute float64 `yaml:"failed_auth_per_minute"`
}

// HLS says how streams are packaged for LL-HLS and DASH.
type HLS struct {
	// Part is how long a Partial Segment is (PART-TARGET).
	Part time.Duration `yaml:"part"`
	// Segment is how long a segment is when key frames come as they are asked for.
	Segment time.Duration `yaml:"segment"`
	// Target bounds a segment (EXT-X-TARGETDURATION); whole seconds.
	Target time.Duration `yaml:"target"`
	// Window is how far back a live viewer may go.
	Window time.Duration `yaml:"window"`
	// Grace is how long a publisher may be away and come back into the same recording.
	Grace time.Duration `yaml:"grace"`
	// Redundant numbers and names segments by the clock, as other nodes do.
	Redundant bool `yaml:"redundant"`
	// CaptionsTo are the other nodes, that get the captions that are sent here.
	CaptionsTo []string `yaml:"captions_to"`
	// AAC is when there is AAC beside Opus: on_demand, always, off.
	AAC string `yaml:"aac"`
	// Ladder names profiles of H.264 that are made of streams in one layer.
	Ladder []string `yaml:"ladder"`
	// LadderWhen is when: on_demand, always.
	LadderWhen string `yaml:"ladder_when"`
	// EdgeSecret is what edges send to be known; empty knows none.
	EdgeSecret string `yaml:"edge_secret"`
	// EdgesOnly refuses media to everybody else.
	EdgesOnly bool `yaml:"edges_only"`
}

// Uploads bounds the files that people upload to the catalogue.
type Uploads struct {
	MaxSize int64 `yaml:"max_size"` // bytes
	// Originals keeps uploaded files as they came, as long as their assets.
	Originals bool `yaml:"originals"`
	// Storage is the URL of where they are kept; empty is where recordings are.
	Storage string `yaml:"storage"`
}

// Stream is the policy of all streams whose name matches.
type Stream struct {
	Match      media.Pattern    `yaml:"match"`
	Absent     media.WhenAbsent `yaml:"absent"`
	Second     media.WhenTaken  `yaml:"second"`
	Public     bool             `yaml:"public"`
	HLS        bool             `yaml:"hls"`
	Record     bool             `yaml:"record"`
	Protect    media.Protect    `yaml:"protect"`
	KeepDays   int              `yaml:"keep_days"`
	Hold       time.Duration    `yaml:"hold"`
	Codecs     []media.Codec    `yaml:"codecs"`
	Languages  []string         `yaml:"languages"`
	Captions   []string         `yaml:"captions"`
	MaxBitrate media.Bitrate    `yaml:"max_bitrate"`
	MaxHeight  int              `yaml:"max_height"`
}

// Default is a node on one machine that asks for tokens and listens for
// everybody, but shows its insides to the machine itself only.
func Default() Config {
	return Config{
		HTTP:  ":8080",
		Admin: "127.0.0.1:8081",
		Media: ":8189", MediaTransport: "auto",
		Data: "./data",
		Log:  Log{Level: "info", Format: "text"},
		Limits: Limits{
			// At 12 to 50 KB each, a machine of 1 GB holds as many as it can feed.
			Sessions: 10_000,
			// 500 students behind one school's address come in within a few
			// seconds; a client that reconnects in a loop does not stay long.
			RequestsPerSecond: 50,
			RequestsBurst:     500,
			// The same students open the page of a recording.
			CataloguePerSecond: 100,
			CatalogueBurst:     1500,
			// An encoder that loses its network tries again every second or two.
			PublishesPerSecond: 5,
			// Enough for a person with a wrong paste, far too few to guess 128 bits.
			FailedAuthPerMinute: 10,
		},
		HLS: HLS{
			Part: 500 * time.Millisecond, Segment: 2 * time.Second, Target: 6 * time.Second,
			Window: 2 * time.Hour, Grace: time.Minute, AAC: "on_demand", CaptionsTo: []string{}, Ladder: []string{}, LadderWhen: "on_demand",
		},
		Uploads: Uploads{MaxSize: 5 << 30, Originals: true},
		Streams: []Stream{defaultStream()},
	}
}

// defaultStream is media.DefaultPolicy for every stream.
func defaultStream() Stream {
	p := media.DefaultPolicy()
	return Stream{
		Match: "*", Absent: p.Absent, Second: p.Second, Public: p.Public, HLS: p.HLS, Record: p.Record, Protect: p.Protect,
		Hold: p.Hold, Codecs: p.Codecs, Languages: p.Languages, Captions: p.Captions, MaxBitrate: p.MaxBitrate, MaxHeight: p.MaxHeight,
	}
}

// Policy is what the room of streams reads of s.
func (s Stream) Policy() media.Policy {
	return media.Policy{
		Absent: s.Absent, Second: s.Second, Public: s.Public, HLS: s.HLS, Record: s.Record, Protect: s.Protect,
		Hold: s.Hold, Codecs: s.Codecs, Languages: s.Languages, Captions: s.Captions, MaxBitrate: s.MaxBitrate, MaxHeight: s.MaxHeight,
	}
}

// Policy returns the policy of the first entry of Streams that matches, or
// media.DefaultPolicy when none does.
func (c *Config) Policy(id media.StreamID) media.Policy {
	for i := range c.Streams {
		if c.Streams[i].Match.Matches(id) {
			return c.Streams[i].Policy()
		}
	}
	return media.DefaultPolicy()
}
