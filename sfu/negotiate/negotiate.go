// Package negotiate reads a WHIP or WHEP offer and writes the answer (RFC 9725, draft-ietf-wish-whep, RFC 9429).
// It promises one pass over the offer, bounded work, an answer with the offer's m-lines in the offer's order, and
// errors that say what to change. It is pure: whoever calls Publish or Subscribe owns the Remote; not safe for concurrent use.
package negotiate

import (
	"slices"

	"github.com/pion/rtp"

	"github.com/sluice-live/sluice/media"
)

// Config says what may be negotiated.
type Config struct {
	// Codecs are the video codecs allowed, most wanted first. Opus is always allowed.
	Codecs []media.Codec
	// Languages of a publisher's audio m-lines by their place, where the offer says none (RFC 5646).
	Languages []string
	// TransportCC and REMB allow the two kinds of congestion feedback.
	TransportCC, REMB bool
	// Lite takes offers of ICE-lite clients; our side must then be a full agent.
	Lite bool
	// Channels takes a viewer's m-line of data channels.
	Channels bool
}

// DefaultConfig takes every codec of media.DefaultPolicy and both kinds of feedback.
func DefaultConfig() Config {
	return Config{Codecs: media.DefaultPolicy().Codecs, TransportCC: true, REMB: true}
}

// Pair is the SSRC of a stream and of its retransmissions; zero means none.
type Pair struct{ Media, RTX uint32 }

// Local is what our transport puts into the answer. The DTLS role is not part
// of it: Remote.Setup holds it.
type Local struct {
	Ufrag, Pwd  string
	Fingerprint string   // SHA-256, upper-case hex with colons
	Full        bool     // our agent is a full one, not ICE-lite
	Candidates  []string // values of a=candidate, see Candidate; the most reachable one first, as FFmpeg takes only the first
	Origin      uint64   // session id of the o= line
	CNAME       string   // viewers only
	MSID        string   // viewers only: one MediaStream for both tracks
	// SSRC gives the streams that viewers get, announced by a=ssrc and an FID group. The RTX SSRC is left out where
	// no RTX was negotiated.
	SSRC map[media.Kind]Pair
	// Stereo tells viewers that the publisher's Opus is stereo (sprop-stereo, RFC 7587 section 6.1).
	Stereo bool
}

// Fingerprint is one a=fingerprint (RFC 8122).
type Fingerprint struct {
	Algorithm string // lower case: "sha-256", "sha-384", "sha-512"
	Value     string // upper-case hex with colons
}

// Codec is one payload type that both sides know.
type Codec struct {
	Codec   media.Codec
	PT      uint8
	RTX     uint8  // payload type of its retransmissions (RFC 4588); 0 means none
	Fmtp    string // as offered; empty when there is none
	Profile string // in words for H264 ("Constrained Baseline"), the number for VP9, AV1, H265; empty for others

	NACK, PLI, FIR, REMB, TransportCC bool // feedback that both sides take

	feedback feedback // the same, as answers list it
}

// Extensions are the ids of the header extensions that were accepted; 0 means
// not negotiated. Ids above 14 (two-byte headers, RFC 8285 section 4.3) occur
// only where the offer has extmap-allow-mixed.
type Extensions struct {
	MID, RID, RRID, AbsCapture, TransportCC, AbsSendTime, PlayoutDelay, AudioLevel, Orientation, Descriptor uint8
}

// Media is one m-line of the offer.
type Media struct {
	Kind     media.Kind // 0 for what is neither audio nor video; such lines are rejected
	MID      string
	Index    int    // of the m-line
	Rejected bool   // answered with port 0 (viewers only)
	Channel  bool   // it carries data channels (viewers only)
	Reason   string // why it was rejected

	// Codecs that both sides know, in the order of Config.Codecs, and in the offer's order within one codec.
	Codecs []Codec
	RED    uint8 // payload type of RED for Opus (RFC 2198); ByPT takes a publisher's for Opus; 0 means none
	Ext    Extensions

	// RIDs are the accepted simulcast encodings in the offer's order (RFC 8853), at most media.MaxLayers; Paused are
	// those of them that start paused.
	RIDs, Paused []string
	// SSRC and RTXSSRC are what a publisher announces; 0 means unknown, as always with simulcast.
	SSRC, RTXSSRC uint32

	Stereo, DTX, FEC bool // what the offer's Opus parameters ask for
	RcvrRTT          bool // a=rtcp-xr:rcvr-rtt (RFC 3611) is agreed

	// Track is what a publisher's m-line becomes; Language and Name are those of media.TrackInfo.
	Track          media.TrackID
	Language, Name string

	said         bool // the offer says the language
	line         line
	exts         []extmap // accepted, in the offer's order
	restrictions []string // of each of RIDs
}

// line is what the answer repeats of an m-line.
type line struct {
	kind, proto, fmts string
	rsize, mixed      bool
}

// Remote is an offer that was read and can be answered. It holds copies of
// what it needs, 3 KB for a browser's offer, and not the offer.
type Remote struct {
	Ufrag, Pwd   string
	Fingerprints []Fingerprint
	// Setup is our DTLS role for the answer: "passive" (we are the DTLS server), or "active" when the offer says
	// passive, as FFmpeg's does.
	Setup   string
	Trickle bool // a=ice-options:trickle was offered
	Lite    bool // a=ice-lite was offered
	// Candidates are the values of a=candidate of an ICE-lite client, 16 at most; not read further.
	Candidates []string
	Media      []Media

	publish, ice2, mixed, grouped bool
	bundle                        []int     // the accepted m-lines in the group's order
	types                         []typeRef // by payload type; of publishers only
}

// Publish reads a WHIP offer. Errors wrap media.ErrBadOffer or
// media.ErrUnsupported and say in a sentence what to change.
func Publish(offer []byte, c Config) (*Remote, error) { return negotiate(offer, c, true) }

// Subscribe reads a WHEP offer; errors are those of Publish.
func Subscribe(offer []byte, c Config) (*Remote, error) { return negotiate(offer, c, false) }

// Audio returns the first accepted audio m-line, or nil.
func (r *Remote) Audio() *Media { return r.first(media.Audio) }

// Video returns the accepted video m-line, or nil.
func (r *Remote) Video() *Media { return r.first(media.Video) }

// Channels reports whether data channels were accepted.
func (r *Remote) Channels() bool {
	return slices.ContainsFunc(r.Media, func(m Media) bool { return m.Channel })
}

func (r *Remote) first(k media.Kind) *Media {
	for i := range r.Media {
		if m := &r.Media[i]; m.Kind == k && !m.Rejected {
			return m
		}
	}
	return nil
}

// ByPT returns what a publisher's payload type means over the whole bundle, in the first m-line that has it; rtx tells
// that it is the retransmission of the codec. Nil, nil when it was not negotiated.
func (r *Remote) ByPT(pt uint8) (m *Media, c *Codec, rtx bool) {
	if int(pt) >= len(r.types) || r.types[pt].codec == 0 {
		return nil, nil, false
	}
	t := r.types[pt]
	m = &r.Media[t.media]
	return m, &m.Codecs[t.codec-1], t.rtx
}

// Find is ByPT for a packet: where several m-lines share its payload type, the MID that it carries tells which one is
// meant, else the SSRC that the offer announced (RFC 9143 section 9.2). Nil, nil where nothing does.
//
// hot: ingest asks for each packet of an SSRC that it does not know yet.
func (r *Remote) Find(h *rtp.Header) (m *Media, c *Codec, rtx bool) {
	m, c, rtx = r.ByPT(h.PayloadType)
	if m == nil || !r.types[h.PayloadType].shared {
		return m, c, rtx
	}
	if m = r.among(h); m == nil {
		return nil, nil, false
	}
	for i := range m.Codecs {
		if c := &m.Codecs[i]; c.PT == h.PayloadType || c.RTX == h.PayloadType {
			return m, c, c.PT != h.PayloadType
		}
	}
	if m.RED == h.PayloadType {
		return m, &m.Codecs[0], false
	}
	return nil, nil, false
}

// among finds the audio m-line of a packet.
func (r *Remote) among(h *rtp.Header) *Media {
	told := false
	for i := range r.Media {
		m := &r.Media[i]
		if m.Kind != media.Audio || m.Rejected || m.Ext.MID == 0 {
			continue
		}
		mid := h.GetExtension(m.Ext.MID)
		if told = told || len(mid) > 0; len(mid) > 0 && string(mid) == m.MID {
			return m
		}
	}
	for i := range r.Media {
		if m := &r.Media[i]; !told && h.SSRC != 0 && m.Kind == media.Audio && !m.Rejected && (m.SSRC == h.SSRC || m.RTXSSRC == h.SSRC) {
			return m
		}
	}
	return nil
}

// ByMID returns the accepted m-line of that name, or nil.
func (r *Remote) ByMID(mid string) *Media {
	for i := range r.Media {
		if m := &r.Media[i]; m.MID == mid && !m.Rejected {
			return m
		}
	}
	return nil
}
