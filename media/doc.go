// Package media holds the words that every room shares: streams, tracks,
// layers, packets, sessions, policies, the state that people see, and the
// errors that cross walls.
//
// It promises values: nothing here runs, waits, locks or opens anything. A
// word that two rooms use is defined here once, and nowhere else.
package media
