// Package webm writes Matroska (RFC 9559) as it streams: a head with one track, then
// a cluster for each run of frames. What it writes may be cut between clusters and
// put together again: head and clusters are a file, as CMAF's initialisation section
// and parts are.
//
// It promises timestamps in whole microseconds, so that ticks of 90 kHz and of
// 48 kHz come back as they went in. Of VP8 and VP9 with Opus the file is WebM. It has
// no state and is owned by whoever calls.
package webm
