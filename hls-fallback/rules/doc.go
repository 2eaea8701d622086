// Package rules reads HLS playlists and holds them against the rules of
// RFC 8216bis for low latency, one playlist at a time and over time. It promises
// that any input gives findings and never a panic. Not safe for concurrent use.
package rules
