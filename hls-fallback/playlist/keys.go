package playlist

import (
	"encoding/hex"
	"slices"

	"github.com/sluice-live/sluice/media"
)

// keys writes EXT-X-KEY or EXT-X-SESSION-KEY, a line for each system (sections 4.4.4.4
// and 4.4.6.4). SAMPLE-AES is cbcs in CMAF. KEYID is no attribute of HLS, and players
// that make sessions before they have media know it from Widevine's.
func (w *writer) keys(tag string, p *media.Protection) {
	for i := range p.Systems {
		s := &p.Systems[i]
		if s.Format == "" {
			continue
		}
		w.b = append(append(w.b, tag...), `METHOD=SAMPLE-AES,URI="`...)
		w.b = append(w.b, clean(s.URI)...)
		w.query()
		w.b = append(w.b, `",KEYID=0x`...)
		w.b = hex.AppendEncode(w.b, p.KeyID[:])
		w.quoted(",KEYFORMAT=", clean(s.Format))
		if s.Versions != "" {
			w.quoted(",KEYFORMATVERSIONS=", clean(s.Versions))
		}
		w.b = append(w.b, '\n')
	}
}

// sessionKeys lets players ask for all licences before the Media Playlists are there.
func (w *writer) sessionKeys() {
	var seen []media.KeyID
	for _, r := range w.p.Renditions {
		if p := r.Protection; p != nil && !slices.Contains(seen, p.KeyID) {
			w.keys("#EXT-X-SESSION-KEY:", p)
			seen = append(seen, p.KeyID)
		}
	}
}
