package cmaf

import "github.com/sluice-live/sluice/media"

// Init returns the initialisation section of a format, and its codecs parameter
// (RFC 6381). Timescale is in ticks per second. VP8 has none: media.ErrUnsupported.
func Init(f *media.Format, timescale uint32) (section []byte, codecs string, err error) {
	return nil, "", media.ErrUnsupported
}

// InitAAC is Init for AAC, from its AudioSpecificConfig (ISO/IEC 14496-3).
func InitAAC(config []byte, timescale uint32) (section []byte, codecs string, err error) {
	return nil, "", media.ErrUnsupported
}
