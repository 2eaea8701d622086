// Package hlsfallback serves what is packaged of streams and assets over HTTP:
// LL-HLS, HLS and DASH from the same bytes, rendered when they are asked for and
// once for all who ask. It promises that a request never holds the packager up,
// and that what caches may keep they may share. The roof mounts its Handler.
package hlsfallback
