package sfu

import (
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
)

// view returns what the publisher's owner may know.
func (p *publisher) view() media.SessionView {
	v := p.st.view()
	v.Publisher = true
	v.Active = p.flowing()
	v.Encodings = p.encodings()
	return v
}

// view returns what a viewer may know.
func (v *viewer) view() media.SessionView {
	view := v.st.view()
	view.Choice = *v.choice.Load()
	view.Current = media.Layer(v.stats.current.Load() - 1)
	view.Why = v.words()
	view.Ended = v.gone.Load()
	view.Sound = media.TrackID(v.sound.Load())
	if wish := v.audio.Load(); wish != nil {
		view.Audio = wish.said
	}
	view.MLine = map[media.TrackID]int{}
	if t := v.tracks[media.AudioTrack]; t != nil {
		view.MLine[view.Sound] = t.line.Index
	}
	if t := v.tracks[media.VideoTrack]; t != nil {
		view.MLine[media.VideoTrack] = t.line.Index
	}
	if v.stats.noCodec.Load() && view.Active {
		view.Active, view.Reason = false, media.ErrNoCodec.Error()
	}
	return view
}

// view returns what is the same for all sessions of a stream.
func (st *stream) view() media.SessionView {
	st.mu.Lock()
	defer st.mu.Unlock()
	v := media.SessionView{Stream: st.id, Viewers: len(st.viewers), Current: media.AnyLayer, Reason: st.reason}
	if st.publisher != nil {
		v.Active = st.publisher.flowing()
		if infos := st.publisher.source.tracks.Load(); infos != nil {
			v.Tracks = *infos
		}
		if !v.Active {
			v.Reason = "the publisher sends nothing now"
		}
	}
	return v
}

// status returns the stream as the API shows it.
func (st *stream) status() media.StreamStatus {
	st.mu.Lock()
	defer st.mu.Unlock()
	s := media.StreamStatus{Stream: st.id, Public: st.policy.Public, Viewers: len(st.viewers)}
	if p := st.publisher; p != nil {
		s.Live, s.Epoch = p.flowing(), p.epoch
		if at := p.firstMedia.Load(); at != 0 {
			s.Since = time.Unix(0, at).UTC()
		}
		s.Publisher = p.state.Load()
	}
	for _, v := range st.viewers {
		s.Sessions = append(s.Sessions, v.status())
	}
	slices.SortFunc(s.Sessions, func(a, b media.ViewerStatus) int { return strings.Compare(string(a.Session), string(b.Session)) })
	return s
}

// words says why the viewer gets its layer.
func (v *viewer) words() string {
	if why := v.stats.why.Load(); why != nil {
		return *why
	}
	return ""
}

func (v *viewer) status() media.ViewerStatus {
	s := media.ViewerStatus{Session: v.offer.Session, Subject: v.offer.Subject, Since: v.since.UTC(), Transport: v.conn.Network(),
		Packets: v.stats.packets.Load(), Bytes: v.stats.bytes.Load(), Resent: v.stats.resent.Load(), Dropped: v.stats.dropped.Load(),
		LossRatio: float64(v.stats.lossPPM.Load()) / 1e6, RTT: media.MS(time.Duration(v.stats.rtt.Load())),
		Jitter: media.MS(time.Duration(v.stats.jitter.Load())), Latency: media.MS(time.Duration(v.stats.latency.Load()))}
	s.Estimate, s.Why = media.Bitrate(v.stats.estimate.Load()), v.words()
	if s.RTT == 0 {
		s.RTT = media.MS(v.conn.RTT())
	}
	if src := v.st.current.Load(); src != nil {
		if info := src.info(media.VideoTrack); info != nil {
			for _, l := range info.Layers {
				if int64(l.ID)+1 == v.stats.current.Load() {
					s.RID = l.RID
				}
			}
		}
	}
	return s
}
