package recorder

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/recorder/encode"
)

// A stream has a rendition for each of its audio tracks, and beside each one AAC for players that play no Opus: the
// groups of a multivariant playlist have the same members (RFC 8216bis section 4.4.6.1.1).

const (
	// soundPrefix is what all renditions of sound begin with; those of AAC are called as
	// what they are made of, and aacSuffix.
	soundPrefix = "audio"
	aacSuffix   = "-aac"
)

// isAAC reports whether a rendition is AAC that an encoder makes.
func isAAC(id string) bool {
	return strings.HasPrefix(id, soundPrefix) && strings.HasSuffix(id, aacSuffix)
}

// soundID is what the rendition of an audio track is called.
func soundID(k media.TrackInfo) string {
	switch {
	case k.ID == media.AudioTrack:
		return soundPrefix
	case strings.HasPrefix(k.Name, soundPrefix+"-") && !isAAC(k.Name):
		return k.Name
	}
	return soundPrefix + "-" + strconv.Itoa(int(k.ID)) // its place, from 1
}

// speak takes over in which language a track is, and what people call it. A publisher that comes back and says no
// language has not changed it.
func (t *tape) speak(r *rendition, k media.TrackInfo) {
	tag := strings.ToLower(k.Language)
	name := media.LanguageName(tag)
	if r.is.ID != soundPrefix && r.is.ID != soundPrefix+"-"+tag && tag != "" { // not the first in its language
		name += " " + strconv.Itoa(int(k.ID))
	}
	first := k.ID == media.AudioTrack
	if r.is.Default == first && (k.Language == "" || r.is.Language == k.Language && r.is.Name == name) {
		return
	}
	r.is.Default = first
	if k.Language != "" {
		r.is.Language, r.is.Name = k.Language, name
	}
	t.describe(r)
	for _, d := range t.encoders.all {
		if d.of == r {
			d.speak()
			t.describe(d.to)
		}
	}
}

// speak takes over what is known of the sound that AAC is made of.
func (d *derived) speak() {
	from, to := &d.of.is, &d.to.is
	to.Default, to.Language, to.Name = from.Default, from.Language, cmp.Or(from.Name, from.ID)
}

// deriveSound lists AAC beside Opus.
func (t *tape) deriveSound(from *rendition) {
	id := from.is.ID + aacSuffix
	if t.r.cfg.AAC == Never || !t.r.encodes() || slices.ContainsFunc(t.encoders.all, func(d *derived) bool { return d.to.is.ID == id }) {
		return
	}
	cfg := encode.Config{Program: t.r.cfg.FFmpeg, Profile: encode.Profile{Kind: media.Audio, Bitrate: 128_000}}
	t.derive(from, id, encode.AAC(), cfg, t.r.cfg.AAC == Always)
}
