package dash

import (
	"encoding/base64"

	"github.com/Eyevinn/dash-mpd/mpd"

	"github.com/sluice-live/sluice/media"
)

// mp4Protection says that media are encrypted by ISO/IEC 23001-7.
const mp4Protection = "urn:mpeg:dash:mp4protection:2011"

// protections tells of a set's key: that it is common encryption, and each system by
// which players come to it (ISO/IEC 23009-1 section 5.8.4.1, DASH-IF Interoperability
// Points 4.3 section 7.5).
func protections(p *media.Protection) []*mpd.ContentProtectionType {
	if p == nil {
		return nil
	}
	common := mpd.NewContentProtection()
	common.SchemeIdUri, common.Value, common.DefaultKID = mp4Protection, "cbcs", p.KeyID.String()
	out := []*mpd.ContentProtectionType{common}
	for i := range p.Systems {
		s := &p.Systems[i]
		if s.ID == "" {
			continue
		}
		one := mpd.NewContentProtection()
		one.SchemeIdUri, one.Value = mpd.AnyURI("urn:uuid:"+s.ID), s.Name
		if s.Licence != "" {
			one.LaURL = &mpd.LaURLType{Value: mpd.AnyURI(s.Licence)}
		}
		if s.PSSH != nil {
			one.Pssh = &mpd.PsshType{Value: base64.StdEncoding.EncodeToString(s.PSSH)}
		}
		out = append(out, one)
	}
	return out
}
