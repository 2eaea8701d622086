// Package report keeps the books of RTP streams: sender and receiver reports, loss, jitter and rate, and the mapping of
// every publisher's clock to the node's UTC.
//
// It promises that the node's idea of a publisher's clock slews and never steps, that audio and video keep the
// publisher's mapping to one another, and RFC 3550's arithmetic. Each value belongs to the goroutine of its stream, and
// to nobody else at the same time.
package report
