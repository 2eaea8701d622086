// Package reorder puts the packets of one encoding back in order, and decides when
// what is missing is given up.
//
// It promises that a packet in order leaves at once, each at most once, and that
// nothing waits longer than the budget. Owner: one goroutine per Buffer; it takes
// now, and has no clock.
package reorder
