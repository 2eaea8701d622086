// Package unwrap extends RTP sequence numbers and timestamps to 64 bits, once,
// at the door: nobody behind it ever handles a wrap.
//
// It promises that cutting the result back gives what came in, that numbers
// stay put under loss and reordering, and that a sender's restart goes on above
// all earlier numbers. Owner: one goroutine per received RTP stream; a value is
// not safe for concurrent use.
package unwrap
