// Package descriptor reads and writes the dependency descriptor, the RTP header extension by which a sender of AV1 (and,
// in browsers, of any codec) tells which frames need which (AV1 RTP specification 1.0, appendix A).
//
// It promises never to panic, bounded memory, no allocation, and that what was read is written again bit by bit. Owner:
// whoever holds the Structure; values are not safe for concurrent use while one of them reads, and plain to copy.
package descriptor
