package sfu

import (
	"fmt"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/language"
)

// downTracks are what a viewer has at most: one of sound and one of pictures, whatever languages its stream has. Its
// sound takes the packets of one audio track, and turns to another as to another source, without negotiation.
const downTracks = 2

// maxWish bounds what names an audio track, in bytes: three languages with all their subtags.
const maxWish = 128

// soundWish is which audio track a viewer asked for.
type soundWish struct {
	said      string // a track's name, or languages
	languages string // the same as language.Lookup takes it
}

func newWish(said string) *soundWish {
	if said == "" {
		return nil
	}
	return &soundWish{said, language.Wishes(said)}
}

// find returns the audio track that serves the wish; false where none does.
func (w *soundWish) find(infos []media.TrackInfo) (media.TrackID, bool) {
	var ids [media.MaxAudio]media.TrackID
	var tags [media.MaxAudio]string
	n := 0
	for i := range infos {
		k := &infos[i]
		if k.Kind != media.Audio || n == len(ids) {
			continue
		}
		if k.Name == w.said {
			return k.ID, true
		}
		ids[n], tags[n] = k.ID, k.Language
		n++
	}
	if at := language.Lookup(w.languages, tags[:n]); at >= 0 {
		return ids[at], true
	}
	return 0, false
}

// soundOf returns the audio track for a wish, nil being none; else the first.
func (s *source) soundOf(w *soundWish) media.TrackID {
	infos := s.tracks.Load()
	if infos == nil {
		return media.AudioTrack
	}
	if w != nil {
		if id, ok := w.find(*infos); ok {
			return id
		}
	}
	for i := range *infos {
		if (*infos)[i].Kind == media.Audio {
			return (*infos)[i].ID
		}
	}
	return media.AudioTrack
}

// chooseAudio takes the viewer's wish for an audio track; "" is the first one.
func (v *viewer) chooseAudio(said string) error {
	if v.remote.Audio() == nil {
		return fmt.Errorf("%w: the session carries no audio", media.ErrBadChoice)
	}
	if len(said) > maxWish {
		return fmt.Errorf("%w: an audio track is named by at most %d bytes", media.ErrBadChoice, maxWish)
	}
	wish := newWish(said)
	if src := v.st.current.Load(); wish != nil && src != nil && src.tracks.Load() != nil {
		if _, ok := wish.find(*src.tracks.Load()); !ok {
			return fmt.Errorf("%w: no audio track is named %q, and none is in that language", media.ErrBadChoice, said)
		}
	}
	v.audio.Store(wish)
	v.shard.order(order{kind: orderTune, viewer: v})
	return nil
}

// tune turns the sound to the audio track that serves the viewer's wish now.
func (v *viewer) tune() {
	t := v.tracks[media.AudioTrack]
	if v.src == nil || t == nil {
		return
	}
	id := v.src.soundOf(v.audio.Load())
	if id == t.id {
		return
	}
	t.id, t.flowing = id, false                   // its first packet begins a new source
	t.repair.earlier = [maxCopies]*media.Packet{} // numbers of another track mean other times
	t.turned = t.next()                           // what was sent before is no longer to be found by its number
	v.heard(id)
}

// heard tells which audio track the viewer gets.
func (v *viewer) heard(id media.TrackID) {
	if v.sound.Swap(int32(id)) != int32(id) {
		v.st.changed.notify()
	}
}

// next is the output index that the next packet gets.
func (t *downTrack) next() uint64 {
	if newest, ok := t.munger.Newest(); ok {
		return newest + 1
	}
	return 0
}

// trackOf returns the viewer's track that takes a packet; nil for a packet that none takes.
//
// hot:
func (v *viewer) trackOf(p *media.Packet) *downTrack {
	slot := p.Track
	if slot != media.VideoTrack {
		slot = media.AudioTrack
	}
	if t := v.tracks[slot]; t != nil && t.id == p.Track {
		return t
	}
	return nil
}
