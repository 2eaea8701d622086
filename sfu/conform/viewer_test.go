package conform_test

import (
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/media/codec"
	"github.com/sluice-live/sluice/media/codec/descriptor"
	"github.com/sluice-live/sluice/sfu/conform"
	"github.com/sluice-live/sluice/sfu/layer"
	"github.com/sluice-live/sluice/sfu/munge"
)

// door makes received packets what the ingest makes of them: one layer of one publisher.
type door struct {
	begun          bool
	frameTS, keyTS media.Ticks
	source         descriptor.Source
	ring           map[uint64]made
}

func (d *door) enter(m made, at time.Time) made {
	p := *m.Packet
	p.Arrival = at
	info, err := codec.Parse(p.Codec, p.Payload, p.Marker)
	if err != nil {
		panic(err)
	}
	p.FrameEnd, p.Spatial, p.Temporal, p.SwitchUp = info.Ends, info.Spatial, info.Temporal, info.SwitchUp
	switch {
	case !d.begun || p.TS > d.frameTS:
		p.FrameStart = true
		d.begun, d.frameTS = true, p.TS
	case p.TS == d.frameTS:
		p.FrameStart = info.Begins && info.Spatial > 0
	default:
		before, ok := d.ring[p.Seq-1]
		p.FrameStart = info.Begins || ok && before.Marker
	}
	if info.Start && d.keyTS != p.TS {
		p.Key, d.keyTS = true, p.TS
	}
	d.source.Apply(&p)
	m.Packet = &p
	d.ring[p.Seq] = m
	return m
}

// viewer does with selector and munger what the room does.
type viewer struct {
	selector *layer.Selector
	munger   *munge.Munger
	checker  conform.Checker
	doors    map[media.Layer]*door
	newest   map[media.Layer]uint64
	sent     []sent
}

// sent is one packet that went out, for those who want to decode it.
type sent struct {
	made
	out     munge.Out
	payload []byte
}

func newViewer(firstSeq uint16, firstTS uint32) *viewer {
	v := &viewer{selector: layer.New(), munger: munge.New(munge.Config{FirstSeq: firstSeq, FirstTS: firstTS})}
	v.epoch()
	return v
}

// epoch turns to another publisher.
func (v *viewer) epoch() {
	v.doors, v.newest = map[media.Layer]*door{}, map[media.Layer]uint64{}
	v.selector.Reset()
}

func (v *viewer) door(l media.Layer) *door {
	if v.doors[l] == nil {
		v.doors[l] = &door{ring: map[uint64]made{}}
	}
	return v.doors[l]
}

// receive takes one packet of the publisher.
func (v *viewer) receive(m made, at time.Time) {
	if len(m.Payload) == 0 { // padding holds its place only
		if m.Layer == v.selector.Current() {
			v.drop(m)
		}
		return
	}
	m = v.door(m.Layer).enter(m, at)
	v.newest[m.Layer] = max(v.newest[m.Layer], m.Seq)
	v.decide(m)
}

func (v *viewer) decide(m made) {
	verdict := v.selector.Decide(m.Packet)
	v.munger.Top(v.selector.Spatial())
	v.munger.Targets(v.selector.Targets())
	switch verdict {
	case layer.Forward:
		v.write(m, false)
	case layer.Switch:
		v.write(m, true)
		for seq := m.Seq + 1; seq <= v.newest[m.Layer]; seq++ { // what overtook the key frame
			if late, ok := v.door(m.Layer).ring[seq]; ok && len(late.Payload) > 0 {
				v.decide(late)
			}
		}
	case layer.Drop:
		if m.Layer == v.selector.Current() {
			v.drop(m)
		}
	}
}

// drop closes the place of a packet in the numbering, or fills it if it is too late for that.
func (v *viewer) drop(m made) {
	if out, ok := v.munger.Fill(m.Packet); ok {
		v.checker.Add(conform.Packet{Seq: out.Seq, TS: out.TS, Codec: m.Codec})
		return
	}
	v.munger.Drop(m.Packet)
}

func (v *viewer) write(m made, switched bool) {
	out, ok := v.munger.Next(m.Packet, switched, m.Arrival)
	if !ok {
		v.drop(m)
		return
	}
	payload := slices.Clone(m.Payload)
	out.Payload(payload)
	p := conform.Packet{Seq: out.Seq, TS: out.TS, Marker: out.Marker, Codec: m.Codec, Payload: payload, Frame: m.frame, Packets: m.of, Needs: m.needs}
	if out.Described {
		p.Descriptor = out.Descriptor(nil, m.Descriptor)
	}
	v.checker.Add(p)
	v.sent = append(v.sent, sent{m, out, payload})
}
