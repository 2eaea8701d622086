// Package conform judges what one viewer got of a video track: an independent reading of RFC 7741 (VP8), RFC 9628 (VP9),
// RFC 6184 (H264) and the AV1 RTP specification with its dependency descriptor, for tests.
//
// It promises to report missing references, wrong numbers, starts that are none, half frames and time that runs back,
// and shares no code with what it judges. A Checker belongs to one test, and to nobody else at the same time.
package conform
