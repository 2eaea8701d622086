// Package codec reads what forwarding needs to know from RTP payloads: where a
// decoder may start, frame borders, layers, picture size, profile, B-frames.
//
// It promises never to panic, to keep nothing of the payload, and no allocation
// for packets without parameter sets. Owner: whoever calls; the functions have
// no state and are safe for concurrent use.
package codec
