// Package history keeps the latest packets of one track and layer: it answers
// retransmission requests and starts new viewers from the last key frame.
//
// It promises that Get returns exactly the packet asked for or nil, from any
// goroutine and without a lock, and that memory stays within the Config. Owner:
// ingest is the one writer (Put); everything else may be called by anyone.
package history
