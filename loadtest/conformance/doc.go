// Package conformance holds any WHIP or WHEP server against what RFC 9725, the
// WHEP draft and real clients ask for, one row per duty.
//
// It promises a verdict with its reason for each duty, over the wire only, and
// leaves no session behind. Run owns all that it opens.
package conformance
