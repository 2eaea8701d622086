// Package layer decides which packets of a video track one viewer gets: which simulcast encoding, and up to which
// spatial and temporal layer inside it.
//
// It promises that a viewer's decoder never starts on anything but a key frame, that the picture is held while the key
// frame of the wanted layer is on its way, and that the wanted layer is reached if its key frames come. A Selector
// belongs to the shard that owns its viewer, and to nobody else at the same time.
package layer
