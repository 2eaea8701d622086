// Package signaling is the door of a node: WHIP (RFC 9725) and WHEP over HTTP,
// and the JSON API under /v1. It promises every duty of those texts with
// tolerance for the clients that really exist, and that what it remembers is
// bounded. Server owns all state here; media flows elsewhere, behind Sessions.
package signaling
