// Package hls is a crowd of LL-HLS players without a screen: each asks for the next
// playlist and for the part that is hinted, both ahead of time, as players do.
//
// It promises to count what was answered late, wrong or not at all. Run owns its
// goroutines and connections, and ends with all of them.
package hls
