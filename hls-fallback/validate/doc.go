// Package validate looks at a live LL-HLS presentation for a while, as a player
// would, and holds what it gets against the rules of RFC 8216bis and CMAF, on any
// server. It promises to ask for no more than a player does, and to end. One Run is
// one look; the caller owns it.
package validate
