// Package impair says what a bad network does to each packet: paths that delay,
// lose, reorder, double and queue, how they change over time, and by what names.
//
// It promises decisions without a clock, a socket or a goroutine, the same for
// the same seed, so that one profile serves virtual time, loopback relays and
// the matrix alike. Whoever makes a Link or a Meter owns it.
//
// It lies here and not in internal/testnet because the load tool needs it and
// only tests may import testnet, which lends it to the rooms' tests.
package impair
