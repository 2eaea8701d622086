// Package feedback tells a publisher's congestion control what arrived: transport-wide feedback, and REMB for those who
// only take that.
//
// It promises that every received packet is reported exactly once, with its arrival to the quarter millisecond, and that
// nothing that did not come is reported as received. Its values belong to the goroutine that reads the publisher's
// transport, and to nobody else at the same time.
package feedback
