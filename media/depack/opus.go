package depack

import (
	parse "github.com/bluenviron/mediacommon/v2/pkg/codecs/opus"

	"github.com/sluice-live/sluice/media"
)

// maxOpus is the longest packet: 120 ms (RFC 6716 section 3.2.5).
const maxOpus = 5760

// OpusDuration returns how long an Opus packet sounds, in ticks of 48 kHz (RFC 6716
// section 3.1); 0 for what is no Opus packet.
func OpusDuration(packet []byte) media.Ticks {
	d := parse.PacketDuration2(packet)
	if d > maxOpus {
		return 0
	}
	return media.Ticks(d)
}

// opus takes packets as they are (RFC 7587).
type opus struct{ stereo *media.Format }

func (opus) opens([]byte) bool { return true }

func (opus) add(a *assembly, payload []byte) error {
	if len(a.data) > 0 {
		return errForm
	}
	a.data = append(a.data, payload...)
	return nil
}

// finish tells of all Opus that it is stereo: an encoder goes from mono to stereo and back between
// packets, decoders give as many channels as they are asked for, and a change of
// format would be a discontinuity for everybody.
func (o opus) finish(a *assembly) (told, error) {
	if OpusDuration(a.data) == 0 {
		return told{}, errShort
	}
	return told{key: true, format: o.stereo}, nil
}
