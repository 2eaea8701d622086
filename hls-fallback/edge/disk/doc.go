// Package disk is the second tier of an edge's cache: files in a folder. It promises that
// nobody waits for it, that nothing comes out that did not go in, byte by byte, and that
// a disk that is full, broken or hanging costs the tier and no answer. An edge owns it.
package disk
