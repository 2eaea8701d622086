// Package recorder makes Presentations of streams while they are live: one tape
// per stream takes the publisher's packets, untranscoded, and cuts all layers and
// tracks on one grid into CMAF parts, on disk and in memory.
//
// It promises that a playlist made of any snapshot obeys RFC 8216bis, that what is
// missing is a declared gap, and that a publisher who comes back within the grace
// stays in the same presentation. When the disk fails, the recording stands still
// with an alarm and live goes on from memory; one that hangs holds nobody up.
//
// The Recorder owns the registry; each tape is one goroutine, which alone touches
// its state, and another writes what it keeps. Readers hold immutable snapshots and
// lock nothing.
//
// Memory of one stream: the bytes of parts that may still be asked for, six target
// durations (36 s: 18 MB at 4 Mbit/s over all layers); what waits for a lost packet,
// at most 2048 places per layer; frames of a part that is open; 16 MB of parts that a
// disk has not taken yet, which are not counted twice up to 36 s; and, for each
// segment of the window, about 120 bytes per rendition (2 h: 3600 segments, 0.4 MB).
package recorder
