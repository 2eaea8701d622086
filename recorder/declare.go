package recorder

import (
	"math"
	"time"

	"github.com/sluice-live/sluice/media"
)

// What playlists declare stands still while a stream lives, or players switch
// renditions for numbers' sake and caches keep as many playlists: the rate of the
// source, the peak that it may have, a mean that is about right.

// settled is from which time of media on a measured frame rate is believed.
const settled = 2 * time.Second

// declaredRate is FRAME-RATE, the highest that there is (RFC 8216bis section
// 4.4.6.2), of what was measured over some time: the usual rate that is not below
// it, so that lost frames and a lack of light do not move it.
func declaredRate(was, measured float64, over time.Duration) float64 {
	const slack = 0.97 // of a source of 30 a second, up to 30.9 may be measured
	usual := math.Ceil(measured * slack)
	for _, rate := range [...]float64{15, 24, 25, 30, 48, 50, 60, 90, 120} {
		if usual > 12 && usual <= rate {
			usual = rate
			break
		}
	}
	if over < settled {
		return was // of a few frames it would be no more than a guess
	}
	return max(was, usual)
}

// declaredPeak is BANDWIDTH: it goes up by half, seldom.
func declaredPeak(was, measured, most media.Bitrate) media.Bitrate {
	for was > 0 && was < measured && was < most {
		was = min(was+was/2, most)
	}
	return was
}

// declaredMean is AVERAGE-BANDWIDTH: what was declared, until it is wrong by a tenth.
func declaredMean(was, measured media.Bitrate) media.Bitrate {
	if off := was - measured; max(off, -off) < measured/10 {
		return was
	}
	return measured
}
