// Package publish is a WHIP publisher in the shape of four real clients: a
// full PeerConnection, OBS, FFmpeg and GStreamer, whose offers were recorded.
//
// It promises paced media that tells its send time, and counts of everything
// that the server asked for. A Publisher belongs to whoever dialled it.
package publish
