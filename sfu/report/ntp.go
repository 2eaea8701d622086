package report

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ntpEpoch is the distance in seconds from 1900 (NTP era 0) to 1970 (RFC 868).
const ntpEpoch = 2208988800

// NTP returns t as a 64-bit NTP timestamp, UQ32.32 seconds since 1900 (RFC 3550 section 4).
func NTP(t time.Time) uint64 {
	s := uint64(t.Unix()+ntpEpoch) << 32
	return s | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// FromNTP returns the time of a 64-bit NTP timestamp.
func FromNTP(ntp uint64) time.Time {
	s := int64(ntp>>32) - ntpEpoch
	ns := (ntp&0xffffffff*uint64(time.Second) + 1<<31) >> 32
	return time.Unix(s, int64(ns)).UTC()
}

// AbsCapture returns the 8-byte form of the abs-capture-time header extension.
func AbsCapture(t time.Time) [8]byte {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], NTP(t))
	return b
}

var errShort = errors.New("it is shorter than 8 bytes")

// ParseAbsCapture reads the abs-capture-time header extension, 8 or 16 bytes.
func ParseAbsCapture(b []byte) (time.Time, error) {
	if len(b) < 8 {
		return time.Time{}, fmt.Errorf("read abs-capture-time: %w", errShort)
	}
	return FromNTP(binary.BigEndian.Uint64(b)), nil
}
