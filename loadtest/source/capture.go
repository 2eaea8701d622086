package source

import (
	"encoding/binary"
	"time"
)

// CaptureURI names the absolute capture time header extension.
const CaptureURI = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"

// ntpEpoch is 1900 in Unix seconds (RFC 5905 section 6).
const ntpEpoch = 2208988800

// NTP writes a time as 32.32 bit fixed point seconds since 1900.
func NTP(t time.Time) uint64 {
	s := uint64(t.Unix() + ntpEpoch)
	f := (uint64(t.Nanosecond())<<32 + 5e8) / 1e9
	return s<<32 + f
}

// FromNTP reads such a time.
func FromNTP(n uint64) time.Time {
	ns := (n&0xffffffff*1e9 + 1<<31) >> 32
	return time.Unix(int64(n>>32)-ntpEpoch, int64(ns))
}

// CaptureTime writes the 8-byte form of the extension.
func CaptureTime(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, NTP(t))
}

// ParseCaptureTime reads the 8- or 16-byte form; the offset of the long form
// (to the sender's clock) is not added: it is the capture clock that is asked for.
func ParseCaptureTime(b []byte) (time.Time, bool) {
	if len(b) != 8 && len(b) != 16 {
		return time.Time{}, false
	}
	return FromNTP(binary.BigEndian.Uint64(b)), true
}
