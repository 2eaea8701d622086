package demand

import (
	"time"

	"github.com/sluice-live/sluice/media"
)

// Config sets the patience. Zero fields take the values of DefaultConfig.
type Config struct {
	// Patience is how long nobody must have wanted a layer before it rests.
	Patience time.Duration
	// Wake is how long a woken layer may take to flow before it counts as one that does not.
	Wake time.Duration
}

// DefaultConfig rests a layer after 10 s: a viewer whose link wavers comes back sooner than that, and a browser's encoder
// takes about a second to start a layer anew. It waits 5 s for that, as an uplink may have to be measured again.
func DefaultConfig() Config {
	return Config{Patience: 10 * time.Second, Wake: 5 * time.Second}
}

// layer is what is remembered of one layer.
type layer struct {
	flowed bool      // at some time
	wanted time.Time // when somebody wanted it last, or when it began to flow
	rests  bool
	woken  time.Time // when its rest ended; zero: it flows again, or has not rested
}

// Book keeps which layers of one track rest. It is not safe for concurrent use.
type Book struct {
	cfg    Config
	layers [media.MaxLayers]layer
}

// New makes a Book in which no layer rests.
func New(cfg Config) *Book {
	d := DefaultConfig()
	if cfg.Patience <= 0 {
		cfg.Patience = d.Patience
	}
	if cfg.Wake <= 0 {
		cfg.Wake = d.Wake
	}
	return &Book{cfg: cfg}
}

// Update takes what is wanted and what flows, and reports whether some layer begins or ends its rest. Call it about once
// a second, and as soon as a layer is wanted that was not.
func (b *Book) Update(wanted media.LayerSet, infos []media.LayerInfo, now time.Time) (changed bool) {
	lowest := b.lowest(infos)
	for i := range infos {
		info := &infos[i]
		if info.ID < 0 || int(info.ID) >= media.MaxLayers {
			continue
		}
		l := &b.layers[info.ID]
		l.see(info, wanted.Has(info.ID), now)
		if !l.woken.IsZero() && (info.Active || now.Sub(l.woken) > b.cfg.Wake) {
			l.woken = time.Time{}
		}
		// Where nothing else flows, all are woken: an encoder that gave its lowest layer up shall not leave viewers with none.
		needed := wanted.Has(info.ID) || info.ID == lowest || lowest == media.AnyLayer
		switch {
		case l.rests && needed:
			l.rests, l.wanted, l.woken, changed = false, now, now, true
		case !l.rests && !needed && info.Active && info.Width > 0 && now.Sub(l.wanted) >= b.cfg.Patience:
			l.rests, l.woken, changed = true, time.Time{}, true
		}
	}
	return changed
}

// see notes what a layer does. Patience begins when it is first seen to flow, and does not begin anew for one that
// stutters.
func (l *layer) see(info *media.LayerInfo, wanted bool, now time.Time) {
	if wanted || info.Active && !l.flowed {
		l.wanted = now
	}
	l.flowed = l.flowed || info.Active
}

// lowest returns the layer with the smallest picture of those that flow, AnyLayer if there is none. Where a size is not
// known, the rank is not either.
func (b *Book) lowest(infos []media.LayerInfo) media.Layer {
	var best *media.LayerInfo
	for i := range infos {
		if info := &infos[i]; info.Active && info.Width > 0 && (best == nil || info.Less(*best)) {
			best = info
		}
	}
	if best == nil {
		return media.AnyLayer
	}
	return best.ID
}

// Rests reports whether the publisher shall not send this layer.
func (b *Book) Rests(l media.Layer) bool {
	return l >= 0 && int(l) < media.MaxLayers && b.layers[l].rests
}

// Comes reports whether a layer that does not flow will, once somebody wants it: it rests, or has just been woken.
func (b *Book) Comes(l media.Layer) bool {
	return l >= 0 && int(l) < media.MaxLayers && (b.layers[l].rests || !b.layers[l].woken.IsZero())
}
