// Package encode makes other encodings of what is packaged, by ffmpeg as a
// subprocess: AAC of Opus, H.264 of pictures. A Line is one of them.
//
// It promises that what comes out carries the media time of what went in, that
// pictures have key frames where those that went in have, that a process which dies
// or hangs is replaced and goes on where it stopped, and that whoever gives samples
// never waits. Run owns a Line's process; Push may be called by one goroutine, the
// rest by any.
package encode
