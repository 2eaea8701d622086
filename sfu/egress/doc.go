// Package egress is what a shard writes RTP with: it seals many viewers' packets
// into one arena and sends them in few system calls. A number is sealed once,
// nothing is allocated, nothing blocks for long; an Engine and the Sealers that it
// is given belong to one goroutine, a Batch may serve several.
package egress
