// Package store keeps rows: in SQLite, one file in the data directory, or in
// PostgreSQL by URL. It promises that what was acknowledged survives a crash, and
// that both answer alike (one conformance suite). Any goroutine may call it.
package store
