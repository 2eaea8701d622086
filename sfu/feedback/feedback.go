// Package feedback tells a publisher's congestion control what arrived: transport-wide feedback, and REMB for
// those who only take that.
//
// It promises that every received packet is reported exactly once.
// Its values belong to the goroutine that reads the publisher's transport; they are not safe for concurrent use.
package feedback

import (
	"time"

	"github.com/pion/rtcp"

	"github.com/sluice-live/sluice/media"
)

// TWCC collects the arrivals of one transport over every SSRC. The zero value is ready.
type TWCC struct{}

// Receive takes the transport-wide sequence number of one packet.
// hot: once per received packet.
func (t *TWCC) Receive(seq uint16, arrival time.Time) {}

// Build appends to dst the feedback about every packet since the last call.
func (t *TWCC) Build(dst []*rtcp.TransportLayerCC, sender, media uint32) []*rtcp.TransportLayerCC {
	return dst
}

// REMB estimates what a publisher may send from what arrives. The zero value is ready.
type REMB struct{ estimate media.Bitrate }

// Receive takes the size of one packet.
// hot: once per received packet.
func (r *REMB) Receive(size int, now time.Time) {}

// Update takes the loss ratio of the last interval (0 to 1) and returns the new estimate; call it about once a second.
func (r *REMB) Update(loss float64, now time.Time) media.Bitrate { return r.estimate }

// Estimate returns the newest estimate; zero until the first Update.
func (r *REMB) Estimate() media.Bitrate { return r.estimate }

// Report returns the message for the publisher's SSRCs.
func (r *REMB) Report(sender uint32, ssrcs []uint32) *rtcp.ReceiverEstimatedMaximumBitrate {
	return &rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: sender, Bitrate: float32(r.estimate), SSRCs: ssrcs}
}
