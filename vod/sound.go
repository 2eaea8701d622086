package vod

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/vod/aac"
	"github.com/sluice-live/sluice/vod/ffmpeg"
)

// sounds makes AAC of ended assets whose sound is Opus, for players that do not know
// Opus in CMAF. What somebody plays is made, piece by piece, and kept in the blob
// store beside the asset's pictures.
type sounds struct {
	vod   *Vod
	slots chan struct{} // a place for each that is being encoded
	next  chan func(context.Context)

	look sync.Once
	init media.Init
	able bool
}

const (
	// soundBitrate is for two channels; soundPeak is what is declared of it, with
	// headers and variation.
	soundBitrate = media.Bitrate(128_000)
	soundPeak    = media.Bitrate(160_000)
	// soundLimit: a minute of sound is encoded in about a second.
	soundLimit = time.Minute
	// soundWait is how long a request waits for a place among those that encode.
	soundWait = 10 * time.Second
	// maxSounding bounds the pieces that are being made ahead of who plays.
	maxSounding = 8
	// maxPieceBytes bounds a piece that is read: a minute at the most that AAC-LC can
	// have is 17 MB.
	maxPieceBytes = 24 << 20
)

func newSounds(v *Vod) *sounds {
	return &sounds{vod: v, slots: make(chan struct{}, v.cfg.Jobs), next: make(chan func(context.Context), maxSounding)}
}

// possible reports whether there is an encoder; if there is none, it says so once.
func (s *sounds) possible() bool {
	s.look.Do(func() {
		if !s.vod.cfg.AAC {
			return
		}
		var err error
		if s.init, err = aac.Init(); err == nil {
			_, err = exec.LookPath(s.vod.cfg.FFmpeg)
		}
		if s.able = err == nil; !s.able {
			s.vod.log.Error("recordings have no AAC, and players that do not know Opus no sound", "err", err, "advice", "install ffmpeg, or set hls.aac: off")
		}
	})
	return s.able
}

// run makes what is wanted next until ctx ends.
func (s *sounds) run(ctx context.Context) {
	for {
		select {
		case job := <-s.next:
			job(ctx)
		case <-ctx.Done():
			return
		}
	}
}

// dub adds AAC beside each Opus of an ended presentation that has none, or has it in
// part: what was made while somebody listened to it live.
func (s *sounds) dub(p *media.Presentation) (*media.Presentation, map[string]*aac.Plan) {
	if p == nil || !p.Ended {
		return p, nil
	}
	var plans map[string]*aac.Plan
	out := *p
	out.Renditions = slices.Clone(p.Renditions)
	for _, r := range p.Renditions {
		id := r.ID + "-aac"
		if r.Kind != media.AudioRendition || !strings.EqualFold(r.Codec, "opus") || r.Timescale != aac.Rate || len(r.Inits) == 0 ||
			complete(p.Rendition(id), r) || !s.possible() {
			continue
		}
		plan := aac.Lay(r, id, s.init)
		if len(plan.Pieces) == 0 {
			continue
		}
		plan.Rendition.Bandwidth, plan.Rendition.Mean = soundPeak, soundBitrate
		if plans == nil {
			plans = make(map[string]*aac.Plan)
		}
		plans[id] = plan
		if i := slices.IndexFunc(out.Renditions, func(r *media.Rendition) bool { return r.ID == id }); i >= 0 {
			plan.Rendition.Name = out.Renditions[i].Name
			out.Renditions[i] = plan.Rendition
			continue
		}
		last := 0
		for i, other := range out.Renditions {
			if other.Kind == media.AudioRendition {
				last = i
			}
		}
		out.Renditions = slices.Insert(out.Renditions, last+1, plan.Rendition)
	}
	if plans == nil {
		return p, nil
	}
	return &out, plans
}

// complete reports whether a rendition has all that another has.
func complete(r, of *media.Rendition) bool {
	if r == nil || len(r.Segments) == 0 {
		return false
	}
	first := r.Segments[0].MSN
	for _, s := range of.Segments {
		if s.Gap || s.Extent.Size == 0 {
			continue
		}
		if s.MSN < first || s.MSN-first >= uint64(len(r.Segments)) || r.Segments[s.MSN-first].Gap {
			return false
		}
	}
	return true
}

// read opens a segment that is made, or was.
func (s *sounds) read(ctx context.Context, o *opened, plan *aac.Plan, e media.Extent) (io.ReadCloser, error) {
	i := int(e.Volume)
	if i >= len(plan.Pieces) {
		return nil, media.ErrNotFound
	}
	b, err := s.piece(ctx, o, plan, i)
	if err != nil {
		return nil, err
	}
	if i+1 < len(plan.Pieces) {
		select { // who plays goes on; who does not have a place is made when it is asked for
		case s.next <- func(ctx context.Context) { _, _ = s.piece(ctx, o, plan, i+1) }:
		default:
		}
	}
	b, err = aac.Segment(b, e.Offset)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

// piece is one run of segments: in memory, in the blob store, or made now. Those who
// want it at the same time wait for the same.
func (s *sounds) piece(ctx context.Context, o *opened, plan *aac.Plan, i int) ([]byte, error) {
	p := &plan.Pieces[i]
	key := fmt.Sprintf("%s/%s/%06d.cmaf", picturePath(o.asset), plan.Rendition.ID, i)
	b, err := s.vod.reads.get(key, func() ([]byte, int64, time.Duration, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), soundWait+soundLimit)
		defer cancel()
		b, err := s.kept(ctx, key)
		if err != nil || b != nil && p.Whole(b) {
			return b, int64(len(b)) + 256, goodFor, err
		}
		if b, err = s.encode(ctx, o, plan, i); err != nil {
			return nil, 0, 0, err
		}
		s.keep(ctx, o.asset, key, b)
		return b, int64(len(b)) + 256, goodFor, nil
	})
	if err != nil {
		return nil, fmt.Errorf("make AAC of %s: %w", o.asset.ID, err)
	}
	return b, nil
}

// kept reads a piece of the blob store, nil when it was not made yet.
func (s *sounds) kept(ctx context.Context, key string) ([]byte, error) {
	r, err := s.vod.parts.Blobs.Open(ctx, key, 0, -1)
	if errors.Is(err, media.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, maxPieceBytes))
	return b, errors.Join(err, r.Close())
}

// keep stores a piece. Who plays has it all the same when that fails. An asset that is
// deleted meanwhile takes it along.
func (s *sounds) keep(ctx context.Context, a media.Asset, key string, b []byte) {
	err := s.vod.parts.Blobs.Put(ctx, key, bytes.NewReader(b), int64(len(b)))
	if now, aerr := s.vod.parts.Store.Asset(ctx, a.ID); errors.Is(aerr, media.ErrNotFound) || aerr == nil && now.State == media.AssetDeleting {
		err = errors.Join(err, s.vod.parts.Blobs.Delete(ctx, key))
	}
	if err != nil && !errors.Is(err, media.ErrNotFound) {
		s.vod.log.Warn("AAC was not kept, and will be made again", "asset", a.ID, "err", err)
	}
}

// encode makes a piece, when there is a place. After a failure an asset's sound rests
// for a while: Opus plays on, and the log says why.
func (s *sounds) encode(ctx context.Context, o *opened, plan *aac.Plan, i int) ([]byte, error) {
	pause := plan.Rendition.ID + " of " + o.asset.ID
	if s.vod.work.postponed(pause, s.vod.now()) {
		return nil, &media.BusyError{Why: "AAC cannot be made of this recording now; it plays with Opus", After: retryAfter}
	}
	wait := time.NewTimer(soundWait)
	defer wait.Stop()
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-wait.C:
		return nil, &media.BusyError{Why: "AAC is being made of other recordings", After: retrySeconds * time.Second}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	b, err := s.made(ctx, o, plan, i)
	if err != nil {
		s.vod.work.postpone(pause, s.vod.now())
		s.vod.metrics.failures.Inc()
		s.vod.log.Error("AAC could not be made of an asset, Opus plays on", "asset", o.asset.ID, "err", err)
		return nil, &media.BusyError{Why: "AAC cannot be made of this recording now; it plays with Opus", After: retryAfter}
	}
	s.vod.metrics.sounds.Inc()
	return b, nil
}

func (s *sounds) made(ctx context.Context, o *opened, plan *aac.Plan, i int) ([]byte, error) {
	p := &plan.Pieces[i]
	from := o.play.Rendition(strings.TrimSuffix(plan.Rendition.ID, "-aac"))
	out := &bounded{most: maxPieceBytes}
	err := ffmpeg.Run(ctx, ffmpeg.Job{
		Program: s.vod.cfg.FFmpeg, Args: soundArgs(p), Stdout: out, Limit: soundLimit,
		Inputs: []func(io.Writer) error{func(w io.Writer) error { return s.feed(ctx, o.play, from, p, w) }},
	})
	if err != nil {
		return nil, err
	}
	return p.Pack(out.Bytes(), uint32(i)<<8+1)
}

// soundArgs encode what comes as fragmented MP4 to ADTS, but for the first samples.
func soundArgs(p *aac.Piece) []string {
	return []string{"-hide_banner", "-loglevel", "error", "-nostdin", "-threads", "1", "-f", "mp4", "-i", ffmpeg.Input(0), "-map", "0:a:0", "-copyts",
		// Samples lie where their timestamps say, with silence where there are none (the
		// publisher was away; an upload may have packets that last longer than what they
		// hold), and are counted from there on.
		"-af", fmt.Sprintf("aresample=async=1:min_comp=0.0005:min_hard_comp=0.0005:first_pts=%d,atrim=start_sample=%d,asetpts=N/SR/TB,apad=whole_len=%d", p.Begin, p.Skip, p.Samples()),
		"-c:a", "aac", "-b:a", strconv.Itoa(int(soundBitrate)), "-ar", strconv.Itoa(aac.Rate), "-ac", "2", "-f", "adts", ffmpeg.Output}
}

// feed writes the sound that a piece is made of, as one file.
func (s *sounds) feed(ctx context.Context, p *media.Presentation, r *media.Rendition, piece *aac.Piece, w io.Writer) error {
	first := r.Segments[piece.From]
	if first.Init < 0 || first.Init >= len(r.Inits) {
		return errors.New("a segment has no initialisation section")
	}
	if _, err := w.Write(aac.Plain(r.Inits[first.Init].Data)); err != nil {
		return err
	}
	for _, seg := range r.Segments[piece.From:piece.To] {
		if err := s.vod.copy(ctx, w, p, r, seg); err != nil {
			return err
		}
	}
	return nil
}
