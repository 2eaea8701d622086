package report

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

const (
	// ntpEpoch is the distance in seconds from 1900 (NTP era 0) to 1970 (RFC 868).
	ntpEpoch = 2208988800
	// ntpEra is the length of an NTP era in seconds.
	ntpEra = 1 << 32
)

var (
	errLength = errors.New("it has neither 8 nor 16 bytes")
	errNoTime = errors.New("its time is zero")
)

// NTP returns t as a 64-bit NTP timestamp, UQ32.32 seconds since 1900 (RFC 3550 section 4).
func NTP(t time.Time) uint64 {
	return uint64(t.Unix()+ntpEpoch)<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// FromNTP returns the time of a 64-bit NTP timestamp, in the years 1968 to 2104 (RFC 4330 section 3).
func FromNTP(ntp uint64) time.Time {
	s := int64(ntp>>32) - ntpEpoch
	if ntp>>63 == 0 {
		s += ntpEra
	}
	ns := (ntp&0xffffffff*uint64(time.Second) + 1<<31) >> 32
	return time.Unix(s, int64(ns)).UTC()
}

// AbsCapture returns the short form of the abs-capture-time header extension: the capture time alone, UQ32.32 big
// endian (http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time).
func AbsCapture(t time.Time) [8]byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], NTP(t))
	return b
}

// ParseAbsCapture reads the capture time of an abs-capture-time header extension, in the sender's clock. The long form's
// clock offset, bytes 8 to 15, is left aside: publishers stand one hop away and have none to tell.
func ParseAbsCapture(b []byte) (time.Time, error) {
	if len(b) != 8 && len(b) != 16 {
		return time.Time{}, fmt.Errorf("read abs-capture-time: %w", errLength)
	}
	ntp := binary.BigEndian.Uint64(b)
	if ntp == 0 {
		return time.Time{}, fmt.Errorf("read abs-capture-time: %w", errNoTime)
	}
	return FromNTP(ntp), nil
}
