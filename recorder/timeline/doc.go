// Package timeline turns the RTP time of one encoding into media time, which
// counts from the presentation's start in all renditions alike.
//
// It promises that media time never jumps unless it says so: it follows the
// captured time by at most 0.5 % and refuses outliers. Owner: one goroutine per
// Clock; it reads no clock of its own.
package timeline
