// Package pace spreads one viewer's packets over time, without a goroutine: the caller keeps its packets, and asks how many may go.
//
// It promises that sound and reports never wait, that video never exceeds rate · time + burst, that resends and padding
// only take what the estimate leaves, and that nothing waits longer than a bound. A Pacer belongs to its viewer's shard.
package pace
