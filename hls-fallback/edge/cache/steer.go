package cache

import "strings"

// Way is a pathway to the same media, as it stands in a manifest of DASH.
type Way struct {
	ID       string // serviceLocation: what steering manifests call it
	Base     string // where the manifest's relative addresses begin
	Manifest string // where newer manifests are
}

// escapeXML makes text of addresses.
var escapeXML = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// Steer writes the ways to the media into a manifest of DASH, the first one as the one to
// begin with, and the steering server (ISO/IEC 23009-1:2022 section 5.3.1.2 and annex K;
// ETSI TS 103 998). One that has a steering server already stays as it is.
func Steer(mpd, server string, ways []Way) string {
	at := max(strings.Index(mpd, "<MPD "), 0)
	head := at + strings.IndexByte(mpd[at:], '>') + 1
	end := strings.LastIndex(mpd, "</MPD>")
	if !strings.HasPrefix(mpd[at:], "<MPD ") || head == at || end < head || len(ways) == 0 || strings.Contains(mpd, "<ContentSteering") {
		return mpd
	}
	var b strings.Builder
	b.WriteString(mpd[:head])
	for _, w := range ways {
		b.WriteString(`<BaseURL serviceLocation="` + escapeXML.Replace(w.ID) + `">` + escapeXML.Replace(w.Base) + `</BaseURL>`)
	}
	for _, w := range ways {
		b.WriteString(`<Location serviceLocation="` + escapeXML.Replace(w.ID) + `">` + escapeXML.Replace(w.Manifest) + `</Location>`)
	}
	b.WriteString(mpd[head:end])
	b.WriteString(`<ContentSteering defaultServiceLocation="` + escapeXML.Replace(ways[0].ID) + `">` + escapeXML.Replace(server) + `</ContentSteering>`)
	b.WriteString(mpd[end:])
	return b.String()
}
