// Package depack makes frames from the packets of one encoding, in the form in
// which ISO BMFF stores samples, and tells what a decoder has to know of them.
//
// It promises whole frames only, a new Format exactly when something changed, and
// bounded memory whatever comes in. Owner: one goroutine per Depacketizer; frames
// are immutable.
package depack
