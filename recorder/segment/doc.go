// Package segment cuts all renditions of a presentation on one list of boundaries
// into segments and parts, and says when which key frame should come.
//
// It promises, whatever comes in or does not: numbers without a hole, parts that
// never exceed the target, a part each part target, media time without a jump, and
// discontinuities at the same number in all renditions. Owner: one goroutine; a
// Cutter takes now, and has no clock.
package segment
