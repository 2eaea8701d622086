package negotiate

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/language"
)

// identify says which track a publisher's m-line becomes, in which language, and what it is called.
func (n *reader) identify(m *Media, s *section) {
	if m.Kind == media.Video {
		m.Track = media.VideoTrack
		return
	}
	place := n.seen[media.Audio]
	m.Track = media.AudioTrackAt(place)
	if m.Language, m.said = s.spoken(); !m.said && place < len(n.config.Languages) {
		m.Language, _ = language.Parse(n.config.Languages[place])
	}
	m.Name = n.name(place, m.Language)
	n.names = append(n.names, m.Name)
}

// spoken is the language that the offer says an m-line has: the first of those that the publisher would send.
func (s *section) spoken() (tag string, said bool) {
	first, _, _ := strings.Cut(strings.TrimSpace(s.hlang), " ")
	for _, l := range [...]string{first, s.lang} {
		if tag, ok := language.Parse(l); ok && tag != "" {
			return tag, true
		}
	}
	return "", false
}

// name calls the first track "audio", and others by their language, or by their place where that is not known or taken.
// What is made of them in AAC ends with that, so that no language may.
func (n *reader) name(place int, tag string) string {
	if place == 0 {
		return "audio"
	}
	if tag != "" {
		tag = strings.ToLower(tag)
		if name := "audio-" + tag; !slices.Contains(strings.Split(tag, "-"), "aac") && !slices.Contains(n.names, name) {
			return name
		}
	}
	return "audio-" + strconv.Itoa(place+1)
}
