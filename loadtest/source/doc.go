// Package source is real media for load and conformance: H.264 in one or three
// layers and Opus, made once by ffmpeg, kept in a folder, and read at its pace.
//
// It promises that each access unit tells when it was sent (an SEI of our own,
// Stamp). Media is immutable and shared; a Reader decides only and belongs to
// whoever plays it.
package source
