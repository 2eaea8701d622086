// Package reflector is a small WHIP and WHEP server on Pion: what is published
// to it, viewers get, written to a TrackLocalStaticRTP that fans it out.
//
// It promises to do the duties of the conformance suite right, so that a test
// can spoil one and see the table tell; and, served by Serve, it is what a plain
// program on Pion costs in the bench. It is no part of Sluice's server.
package reflector
