// Package loadtest is the swarm: real publishers and hundreds of measuring
// viewers against any WHIP and WHEP server, and the scenarios made of them.
//
// It promises numbers that can be held against each other: one way of
// measuring for every server, one JSON schema, the machine and the command
// with each result. It imports no room; cmd/sluice calls it.
package loadtest
