// Package sfu forwards streams: each packet comes in once, is understood once,
// and is handed to many viewers and sinks. It promises that a slow viewer holds
// nobody, that forwarding allocates and locks nothing per packet, and that a
// viewer goes on when its publisher returns.
//
// The SFU owns the registry; each publisher has one goroutine, and each viewer
// belongs to one of a fixed number of shards, which alone touches its state.
package sfu
