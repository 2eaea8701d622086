package playlist

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/sluice-live/sluice/media"
)

// Multivariant appends the Multivariant Playlist: each picture with each codec of
// sound (R22), so that a player picks what it can play of both.
func Multivariant(dst []byte, p *media.Presentation, v View) []byte {
	w := writer{b: dst, p: p, token: v.Token}
	w.line("#EXTM3U")
	if v.Token {
		w.line("#EXT-X-VERSION:11")
		w.line(`#EXT-X-DEFINE:QUERYPARAM="token"`)
	} else {
		w.line("#EXT-X-VERSION:6")
	}
	all := catalogue(p, v)
	if all.independent() {
		w.line("#EXT-X-INDEPENDENT-SEGMENTS")
	}
	w.sessionKeys()
	for _, g := range all.groups {
		preset := max(slices.IndexFunc(g.renditions, func(r *media.Rendition) bool { return r.Default }), 0)
		for i, r := range g.renditions {
			w.media("AUDIO", g.id, r, i == preset, v)
		}
	}
	preset := slices.IndexFunc(all.subtitles, func(r *media.Rendition) bool { return r.Default })
	for i, r := range all.subtitles {
		w.media("SUBTITLES", "subs", r, i == preset, v)
	}
	for _, name := range all.closed {
		w.line(`#EXT-X-MEDIA:TYPE=CLOSED-CAPTIONS,GROUP-ID="cc",NAME="` + name + `",DEFAULT=NO,AUTOSELECT=YES,INSTREAM-ID="` + name + `"`)
	}
	w.streams(all, v)
	for _, r := range all.pictures {
		w.iframes(r, v)
	}
	return w.b
}

// sorted is a presentation's renditions by what they are for.
type sorted struct {
	pictures, subtitles []*media.Rendition
	groups              []audioGroup
	closed              []string // INSTREAM-IDs of captions in the pictures
}

// audioGroup is the sound of one codec, one rendition for each language.
type audioGroup struct {
	id, codec  string
	renditions []*media.Rendition
}

func catalogue(p *media.Presentation, v View) sorted {
	all := sorted{closed: p.Closed().Names()}
	for _, r := range p.Renditions {
		if !v.lists(p, r) {
			continue
		}
		switch r.Kind {
		case media.VideoRendition:
			all.pictures = append(all.pictures, r)
		case media.SubtitleRendition:
			all.subtitles = append(all.subtitles, r)
		case media.AudioRendition:
			all.add(r)
		}
	}
	return all
}

func (s *sorted) add(r *media.Rendition) {
	codec := Codec(r.Codec)
	for i := range s.groups {
		if s.groups[i].codec == codec {
			s.groups[i].renditions = append(s.groups[i].renditions, r)
			return
		}
	}
	name, _, _ := strings.Cut(strings.ToLower(codec), ".")
	if name == "mp4a" {
		name = "aac"
	}
	id := "audio-" + name
	for _, g := range s.groups {
		if g.id == id {
			id += "-" + strconv.Itoa(len(s.groups))
		}
	}
	s.groups = append(s.groups, audioGroup{id, codec, []*media.Rendition{r}})
}

func (s *sorted) independent() bool {
	for _, r := range s.pictures {
		if !independent(r.Segments) {
			return false
		}
	}
	return true
}

// Codec is a codecs parameter as HLS players want to read it: the sample entry's
// name is "Opus", and Safari knows no other spelling; players that want "opus"
// try both.
func Codec(c string) string {
	if strings.EqualFold(c, "opus") {
		return "Opus"
	}
	return c
}

// codecs appends the formats that a view shows of a rendition and that are not there
// yet, the newest first. CODECS names each that is in a variant's renditions (section
// 4.4.6.2): a publisher that came back may have brought another, and who rewinds meets
// both.
func (v View) codecs(all []string, p *media.Presentation, r *media.Rendition) []string {
	add := func(codec string) {
		if codec = Codec(codec); !slices.Contains(all, codec) {
			all = append(all, codec)
		}
	}
	c := v.cut(p, r)
	if c.open {
		add(r.Codec)
	}
	if !slices.ContainsFunc(r.Inits, func(i media.Init) bool { return i.Codec != "" && i.Codec != r.Codec }) {
		add(r.Codec) // as nearly always
		return all
	}
	last := -1
	for _, s := range slices.Backward(r.Segments[c.from:c.to]) {
		if !s.Gap && s.Init != last && s.Init >= 0 && s.Init < len(r.Inits) {
			last = s.Init
			add(cmp.Or(r.Inits[last].Codec, r.Codec))
		}
	}
	if last < 0 {
		add(r.Codec)
	}
	return all
}

// media writes EXT-X-MEDIA.
func (w *writer) media(kind, group string, r *media.Rendition, preset bool, v View) {
	w.b = append(append(w.b, "#EXT-X-MEDIA:TYPE="...), kind...)
	w.quoted(",GROUP-ID=", group)
	name := clean(r.Name)
	if name == "" {
		name = r.ID
	}
	w.quoted(",NAME=", name)
	if lang := clean(r.Language); lang != "" {
		w.quoted(",LANGUAGE=", lang)
	}
	switch {
	case preset: // at most one of a group
		w.b = append(w.b, ",DEFAULT=YES"...)
	case kind == "SUBTITLES":
		w.b = append(w.b, ",DEFAULT=NO"...)
	}
	w.b = append(w.b, ",AUTOSELECT=YES"...)
	if kind == "SUBTITLES" {
		w.b = append(w.b, ",FORCED=NO"...)
	}
	if kind == "AUDIO" && r.Channels > 0 {
		w.quoted(",CHANNELS=", strconv.Itoa(r.Channels))
	}
	w.b = append(w.b, `,URI="`...)
	w.playlistURI(r, "media.m3u8", v)
	w.b = append(w.b, "\"\n"...)
}

// clean leaves out what a quoted string cannot hold (section 4.2), and the
// braces of variables.
func clean(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '"' || c < ' ' || c == 0x7f || c == '{' || c == '}' {
			return -1
		}
		return c
	}, s)
}

func (w *writer) quoted(name, value string) {
	w.b = append(append(append(append(w.b, name...), '"'), value...), '"')
}

// playlistURI is relative to the multivariant playlist, which stands above the
// incarnations.
func (w *writer) playlistURI(r *media.Rendition, name string, v View) {
	w.b = append(append(w.b, w.p.Incarnation...), '/')
	w.b = append(append(w.b, r.ID...), '/')
	w.b = append(w.b, name...)
	w.child(v)
}

// streams writes the variants: pictures with each group of sound, or sound alone.
func (w *writer) streams(all sorted, v View) {
	for i := range all.groups {
		g := &all.groups[i]
		for _, r := range all.pictures {
			w.stream(r, g, &all, v)
		}
		if len(all.pictures) == 0 {
			w.stream(nil, g, &all, v)
		}
	}
	if len(all.groups) == 0 {
		for _, r := range all.pictures {
			w.stream(r, nil, &all, v)
		}
	}
}

// stream writes one EXT-X-STREAM-INF.
func (w *writer) stream(r *media.Rendition, g *audioGroup, all *sorted, v View) {
	var peak, mean media.Bitrate
	var codecs []string
	uri := r
	if r != nil {
		peak, mean = r.Bandwidth, r.Mean
		codecs = v.codecs(codecs, w.p, r)
	}
	if g != nil {
		for _, one := range g.renditions {
			codecs = v.codecs(codecs, w.p, one)
		}
		loud, usual := g.rates()
		if mean > 0 || r == nil {
			mean += usual
		}
		peak += loud
		if r == nil {
			uri = g.renditions[0]
		}
	}
	w.rates("#EXT-X-STREAM-INF:BANDWIDTH=", peak, mean)
	if !slices.Contains(codecs, "") {
		w.quoted(",CODECS=", strings.Join(codecs, ","))
	}
	if r != nil {
		w.picture(r)
	}
	if g != nil {
		w.quoted(",AUDIO=", g.id)
	}
	if len(all.subtitles) > 0 {
		w.quoted(",SUBTITLES=", "subs")
	}
	// All variants say NONE, or none does (section 4.4.6.2).
	if len(all.closed) > 0 {
		w.b = append(w.b, ",CLOSED-CAPTIONS=\"cc\"\n"...)
	} else {
		w.b = append(w.b, ",CLOSED-CAPTIONS=NONE\n"...)
	}
	w.playlistURI(uri, "media.m3u8", v)
	w.b = append(w.b, '\n')
}

// rates are the largest of a group: a variant counts with its most expensive sound.
// What is made on demand and was not measured yet counts as declared: hls.js takes
// the cheapest of what it can play alike, and shall not wake an encoder where it
// plays what was published.
func (g *audioGroup) rates() (peak, mean media.Bitrate) {
	for _, r := range g.renditions {
		usual := r.Mean
		if r.OnDemand && usual == 0 {
			usual = r.Bandwidth
		}
		peak, mean = max(peak, r.Bandwidth), max(mean, usual)
	}
	return peak, mean
}

// rates writes BANDWIDTH and AVERAGE-BANDWIDTH. The declared peak is at least the
// mean, whatever was measured, and never 0.
func (w *writer) rates(tag string, peak, mean media.Bitrate) {
	w.b = append(w.b, tag...)
	w.b = strconv.AppendInt(w.b, int64(max(peak, mean, 1)), 10)
	if mean > 0 {
		w.b = append(w.b, ",AVERAGE-BANDWIDTH="...)
		w.b = strconv.AppendInt(w.b, int64(mean), 10)
	}
}

func (w *writer) picture(r *media.Rendition) {
	if r.Width > 0 && r.Height > 0 {
		w.b = append(w.b, ",RESOLUTION="...)
		w.b = append(strconv.AppendInt(w.b, int64(r.Width), 10), 'x')
		w.b = strconv.AppendInt(w.b, int64(r.Height), 10)
	}
	if r.FPS > 0 {
		w.b = append(w.b, ",FRAME-RATE="...)
		w.b = strconv.AppendFloat(w.b, r.FPS, 'f', 3, 64)
	}
}

// iframes writes EXT-X-I-FRAME-STREAM-INF. Its rate is that of the whole
// rendition: a picture alone per segment is never more.
func (w *writer) iframes(r *media.Rendition, v View) {
	if v.Form == Legacy || len(r.Segments) == 0 {
		return
	}
	w.rates("#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=", r.Bandwidth, 0)
	w.quoted(",CODECS=", strings.Join(v.codecs(nil, w.p, r), ","))
	if r.Width > 0 && r.Height > 0 {
		w.b = append(w.b, ",RESOLUTION="...)
		w.b = append(strconv.AppendInt(w.b, int64(r.Width), 10), 'x')
		w.b = strconv.AppendInt(w.b, int64(r.Height), 10)
	}
	w.b = append(w.b, `,URI="`...)
	w.playlistURI(r, "iframes.m3u8", v)
	w.b = append(w.b, "\"\n"...)
}
