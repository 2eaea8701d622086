// Package journal keeps what was packaged on disk, so that a crash, a kill -9 or
// a power cut costs at most what was made in the last part's time.
//
// An incarnation is a folder: `journal`, records with a checksum each, and
// `{rendition}/{volume:06d}.cmaf`, the parts' bytes one after the other. Both
// are only appended to. A part is written before it is announced, and synced in
// groups by Run, at most Config.Sync later. Recover reads such a folder after
// whatever happened to it, cuts off what is torn, and says what is missing.
//
// The caller, one goroutine, owns a Journal; Run, another one, syncs and closes
// its files. When the disk fails or is full the Journal turns read-only, says so
// once, and tries again by itself; the caller goes on live from memory.
//
// What is missing is told by a list of holes: gaps that the caller declared,
// jumps in media time, and what a crash or a broken disk took. Nothing is missing
// without standing there.
package journal
