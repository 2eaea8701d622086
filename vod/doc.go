// Package vod is the catalogue of assets: recordings, uploads and clips, from the
// moment a recording begins until it is deleted. It promises that what it was told
// survives a crash: each step may be told or done again. Vod owns the rows and the
// files of uploads and clips; the recorder owns those of recordings.
package vod
