package link

// Class tells what shares one port (RFC 7983 section 7, RFC 5761 section 4).
type Class uint8

// The classes of datagrams.
const (
	Unknown Class = iota
	STUN
	DTLS
	RTP
	RTCP
)

// Classify looks at the first two bytes.
func Classify(b []byte) Class {
	if len(b) < 12 {
		return Unknown
	}
	switch {
	case b[0] < 4:
		return STUN
	case b[0] >= 20 && b[0] < 64:
		return DTLS
	case b[0] >= 128 && b[0] < 192:
		// RTCP packet types 192–223 lie where RTP has a marker and payload types 64–95.
		if b[1] >= 192 && b[1] <= 223 {
			return RTCP
		}
		return RTP
	}
	return Unknown
}
