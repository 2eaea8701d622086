// Package reflector is a small WHIP and WHEP server on Pion for loadtest's own
// tests: what is published to it, viewers get.
//
// It promises to do the duties of the conformance suite right, so that a test
// can spoil one and see the table tell. It is no part of Sluice's server.
package reflector
