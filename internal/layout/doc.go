// Package layout holds the source of the house against its plan: who may import
// whom, what a kernel must not touch, how long files and functions get.
//
// It promises a finding with file and line for each departure, and that the
// rules stand in one table (house.go). Only its own test runs it; a change to
// the table is a change to ARCHITECTURE.md.
package layout
