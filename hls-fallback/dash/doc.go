// Package dash writes MPEG-DASH manifests (ISO/IEC 23009-1, DASH-IF IOP) from a
// snapshot of a presentation, for the same segments that HLS serves. It promises
// that what it said of the past stays true in later manifests. Not safe for
// concurrent use; the origin owns it.
package dash
