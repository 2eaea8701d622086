// Package bwe estimates what one viewer's link carries, from the sender's side: arrival reports (transport-wide congestion
// control) tell delay, loss and the rate that came through, and short probes find out what nobody has sent yet.
//
// It promises an estimate that follows a thinner link within a second or two, that random loss and jitter do not ruin,
// that a stream below the link does not lower, and that only probes and full use raise. An Estimator takes a few
// kilobytes, no goroutine and no clock, and belongs to its viewer's shard.
package bwe
