// Package allocate chooses what a viewer gets for what its link carries: sound always, then video by priority and
// wanted size.
//
// It promises that the choice fits the estimate, goes down at once and up with patience, never pendulums on noise, tries
// a step that failed ever more rarely, and says why in words. An Allocator belongs to its viewer's shard.
package allocate
