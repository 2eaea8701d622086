package signaling_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sluice-live/sluice/media"
)

func TestAViewerAsksForALanguage(t *testing.T) {
	d := newDoor(t)
	for query, want := range map[string]string{"": "", "?audio=es": "es", "?audio=es-MX,en": "es-MX,en", "?audio=": ""} {
		d.want(201, "POST", "/whep/x"+query, offer+"a=x:"+query+"\r\n", with(asPlay, "Content-Type", sdpType)...)
		if got := d.offers[len(d.offers)-1].Audio; got != want {
			t.Errorf("%q asks for %q", query, got)
		}
	}
	d.want(400, "POST", "/whep/x?audio="+strings.Repeat("a", 129), offer, with(asPlay, "Content-Type", sdpType)...)
}

// A choice of sound leaves the picture as it is, and one of a picture the sound.
func TestSoundAndPictureAreChosenApart(t *testing.T) {
	for body, want := range map[string]string{
		`{"audio":"es"}`:               "sound [es] pictures 0",
		`{"mediaId":"0","audio":"es"}`: "sound [es] pictures 0",
		`{"audio":""}`:                 "sound [] pictures 0",
		`{"rid":"q"}`:                  "sound none pictures 1",
		`{}`:                           "sound none pictures 1",
		`{"audio":null}`:               "sound none pictures 1",
		`{"mediaId":"1","rid":"q","audio":"audio"}`: "sound [audio] pictures 1",
		`{"maxWidth":640,"audio":"en"}`:             "sound [en] pictures 1",
	} {
		d := newDoor(t)
		at, _ := d.view()
		d.want(200, "POST", at+"/layers", body, with(asPlay, "Content-Type", jsonType)...)
		got := "sound none"
		if len(d.sounds) > 0 {
			got = fmt.Sprintf("sound %v", d.sounds)
		}
		if got += fmt.Sprintf(" pictures %d", len(d.choices)); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
	d := newDoor(t)
	at, _ := d.view()
	d.want(400, "POST", at+"/layers", `{"audio":3}`, with(asPlay, "Content-Type", jsonType)...)
	d.fail = fmt.Errorf("%w: no such language", media.ErrBadChoice)
	d.want(400, "POST", at+"/layers", `{"audio":"fr"}`, with(asPlay, "Content-Type", jsonType)...)
}

func TestAudioTracksAreListedWhereThereIsAChoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDoor(t)
		at, _, id := d.open(`["audio"]`)
		en := media.TrackInfo{ID: media.AudioTrack, Kind: media.Audio, Name: "audio", Language: "en"}
		es := media.TrackInfo{ID: media.AudioTrackAt(1), Kind: media.Audio, Name: "audio-es", Language: "es"}
		d.change(id, func(v *media.SessionView) {
			v.Active, v.MLine = true, map[media.TrackID]int{media.AudioTrack: 0}
			v.Tracks = []media.TrackInfo{en, {ID: media.VideoTrack, Kind: media.Video}}
		})
		r := d.read(at)
		expect(t, "with one track", r.events())
		d.change(id, func(v *media.SessionView) { v.Tracks = []media.TrackInfo{en, es} })
		time.Sleep(2 * time.Second)
		expect(t, "with two", r.events(), `audio [{"name":"audio","language":"en","current":true},{"name":"audio-es","language":"es"}]`)
		d.change(id, func(v *media.SessionView) { v.Sound, v.MLine = es.ID, map[media.TrackID]int{es.ID: 0} })
		time.Sleep(2 * time.Second)
		expect(t, "the other one", r.events(), `audio [{"name":"audio","language":"en"},{"name":"audio-es","language":"es","current":true}]`)
		d.change(id, func(v *media.SessionView) { v.Viewers++ })
		time.Sleep(2 * time.Second)
		expect(t, "nothing new", r.events())
		d.change(id, func(v *media.SessionView) {
			v.Tracks, v.Sound, v.MLine = []media.TrackInfo{en}, 0, map[media.TrackID]int{0: 0}
		})
		time.Sleep(2 * time.Second)
		expect(t, "one is left", r.events(), `audio []`)
	})
}
