// Package playlist writes HLS playlists (RFC 8216bis) from a snapshot of a
// presentation, and decides what a request with delivery directives waits for.
// It promises that any sequence of snapshots of an incarnation gives playlists
// that keep the draft's rules. Not safe for concurrent use; the origin owns it.
package playlist
