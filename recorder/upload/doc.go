// Package upload brings the finished volumes of recordings to a blob store, and
// gives their local copies up only when the store has been read back and holds the
// same bytes.
//
// Objects lie under `recordings/{stream}/{incarnation}/`: the volumes first, then
// `journal`, and `manifest.json` last, so that what has a manifest is whole. What
// lives only for its window (live streams that are not recorded) is never
// uploaded: a store has `recordings/` and no `live/`, and a rule that deletes by
// prefix cannot hit the wrong one.
//
// A store that is away loses nothing: volumes wait on disk and are tried again. An
// Uploader remembers nothing that the folders do not tell; after a restart Add goes
// on where it stopped. Run owns all work; Add, Finished and Ended may be called
// from anywhere.
package upload
