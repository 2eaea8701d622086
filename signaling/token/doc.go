// Package token tells who may do what: JSON web tokens signed by this node or
// by an identity provider, and stream keys for encoders. It promises that no
// token passes by another algorithm than its key's, and that a revoked key is
// known within about a second. Tokens owns the files of the data directory.
package token
