// Package protect encrypts CMAF by common encryption, scheme cbcs (ISO/IEC 23001-7): pictures one block in
// ten, sound whole. It promises that equal clear bytes become equal protected ones, that parts joined are the segment,
// and that what it cannot encrypt is an error and never clear. Track may be used from any goroutine, Sequence not.
package protect
