package sfu

import (
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

const (
	// overTime is how long a publisher may send more than it may: an encoder's
	// rate control needs some seconds after a scene change.
	overTime = 5
	// overShare is how much more than the limit counts as more.
	overShare = 1.25
)

// books count what a publisher does. They belong to its goroutine.
type books struct {
	began, due time.Time
	bytes      int // since the last second
	packets    uint64
	bitrate    media.Bitrate
	overFor    int // seconds

	forged, unreadable, unmatched, jumps uint64
	nacks, plis, reports                 uint64
	logged                               []string // codes of the findings that were logged
}

// overLimit is called once a second and says whether the publisher has sent
// more than the limit for too long.
func (b *books) overLimit(limit media.Bitrate) bool {
	b.bitrate = media.Bitrate(b.bytes * 8)
	b.bytes = 0
	if limit == 0 || float64(b.bitrate) <= overShare*float64(limit) {
		b.overFor = 0
		return false
	}
	b.overFor++
	return b.overFor >= overTime
}

// height returns the height of the largest picture, in pixels; for a picture
// that stands upright, its width.
func (p *publisher) height() int {
	most := 0
	for _, u := range p.upstreams {
		if u.rtxOf == nil {
			most = max(most, min(u.seen.width, u.seen.height))
		}
	}
	return most
}

// publishTracks tells shards and sinks what flows now.
func (p *publisher) publishTracks(now time.Time) {
	var infos []media.TrackInfo
	for id := range media.TrackID(media.MaxTracks) {
		info := media.TrackInfo{ID: id}
		for _, u := range p.upstreams {
			if u.rtxOf != nil || u.track != id {
				continue
			}
			info.Kind, info.Codec, info.Language, info.Name = u.codec.Kind(), u.codec, u.line.Language, u.line.Name
			info.RIDs = u.line.RIDs
			for i := range u.line.Codecs {
				if u.line.Codecs[i].Codec == u.codec {
					info.Params = u.line.Codecs[i].Fmtp
					break
				}
			}
			info.Layers = append(info.Layers, p.mark(u, u.layerInfo(now)))
		}
		if info.Kind != 0 {
			slices.SortFunc(info.Layers, func(a, b media.LayerInfo) int { return int(a.ID) - int(b.ID) })
			infos = append(infos, info)
		}
	}
	p.source.tracks.Store(&infos)
}

// describe makes the state that people see; once a second.
func (p *publisher) describe(now time.Time) media.PublisherStatus {
	s := media.PublisherStatus{Session: p.offer.Session, Subject: p.offer.Subject, Transport: p.conn.Network(),
		RTT: media.MS(p.conn.RTT()), Bitrate: media.Bitrate(p.books.bytes * 8), Packets: p.books.packets,
		NACKs: p.books.nacks, PLIs: p.books.plis}
	for _, u := range p.upstreams {
		if u.rtxOf == nil {
			u.look(p.demand.Rests(u.layer) && u.track == media.VideoTrack, now)
			s.LossRatio = max(s.LossRatio, u.books.LossRatio(now))
		}
	}
	p.publishTracks(now)
	for _, info := range *p.source.tracks.Load() {
		t := media.TrackStatus{Kind: info.Kind, Codec: info.Codec, Name: info.Name, Language: info.Language, Layers: info.Layers}
		for _, u := range p.upstreams {
			if u.rtxOf == nil && u.track == info.ID && u.seen.profile != "" {
				t.Profile, t.KeyInterval = u.seen.profile, u.seen.keyInterval.Seconds()
			}
		}
		t.Lost, t.Repaired = p.repairs(info.ID)
		s.Lost, s.Repaired = s.Lost+t.Lost, s.Repaired+t.Repaired
		s.Tracks = append(s.Tracks, t)
	}
	s.Health = p.findings(now, s.LossRatio)
	return s
}

// repairs sums up, over all layers of a track, what never came and what came
// again after it was lost.
func (p *publisher) repairs(track media.TrackID) (lost, repaired uint64) {
	for _, u := range p.upstreams {
		if u.rtxOf == nil && u.track == track {
			lost += u.nack.Lost()
			repaired += u.nack.Repaired() + u.mended
		}
	}
	return lost, repaired
}

// logFindings logs each finding once, when it appears.
func (p *publisher) logFindings(found []media.Finding) {
	var codes []string
	for _, f := range found {
		codes = append(codes, f.Code)
		if !slices.Contains(p.books.logged, f.Code) {
			p.st.sfu.log.WarnContext(p.log, "publisher has a problem", "stream", p.st.id, "session", short(p.offer.Session),
				"code", f.Code, "text", f.Text, "advice", f.Advice)
		}
	}
	p.books.logged = codes
}
