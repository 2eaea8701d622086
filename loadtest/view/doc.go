// Package view is WHEP viewers that measure: a Swarm of thousands of light ones
// in one goroutine, and full PeerConnections for correctness.
//
// It promises honest numbers: kernel receive times, every frame of every
// viewer, gaps that were never filled. The Swarm owns its viewers; callers talk
// to them through it.
package view
