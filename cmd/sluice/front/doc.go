// Package front is the house's front door: listeners, TLS, timeouts, headers
// that every answer carries, the access log, health, and the admin address.
//
// It promises that no connection is held for ever by a slow peer, and that
// neither a token nor a query ever reaches a log. What is behind the door is
// given to it as handlers; cmd/sluice owns and runs it.
package front
