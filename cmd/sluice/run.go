package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// How the 10 s of a shutdown are spent.
const (
	// movingTime is for viewers to hear that they should go, and to go.
	movingTime = 4 * time.Second
	// answeringTime is for requests that still run.
	answeringTime = 2 * time.Second
	// endingTime is for the rooms to let go of what they hold.
	endingTime = 3 * time.Second
	// lookTime is how often we look whether the viewers have gone.
	lookTime = 50 * time.Millisecond
)

// end is how a part of the house ended.
type end struct {
	name string
	err  error
}

// run runs every part until ctx is done or one of them fails, then stops all,
// and returns when all are gone.
func (h *house) run(ctx context.Context) error {
	// Parts outlive ctx: it begins the shutdown, they end one after the other.
	doors, closeDoors := context.WithCancel(context.WithoutCancel(ctx))
	defer closeDoors()
	rooms, closeRooms := context.WithCancel(context.WithoutCancel(ctx))
	defer closeRooms()

	ended := make(chan end, 16) // more than there are parts: nobody waits to report
	var running sync.WaitGroup
	start := func(name string, run func() error) {
		running.Go(func() { ended <- end{name, run()} }) // waited for by finish
	}
	start("sfu", func() error { return h.sfu.Run(rooms) })
	start("files", func() error { return h.files.Run(rooms) })
	if h.uploader != nil {
		start("uploader", func() error { return h.uploader.Run(rooms) })
	}
	start("recorder", func() error { return h.recorder.Run(rooms) })
	start("vod", func() error { return h.vod.Run(rooms) })
	if h.turn != nil {
		start("turn", func() error { return h.turn.Run(rooms) })
	}
	start("tokens", func() error { return h.tokens.Run(doors, h.signaling.Revoke) })
	start("signaling", func() error { return h.signaling.Run(doors) })
	if h.passing != nil {
		start("captions", func() error { return h.passing.run(doors) })
	}
	start("certificate", func() error { return h.cert.Run(doors) })
	for _, s := range h.servers {
		start(s.Name, s.Run)
	}
	h.health.Ready()
	h.started()

	var failed error
	select {
	case <-ctx.Done():
	case e := <-ended:
		if failed = named(e.name, e.err); failed == nil {
			failed = fmt.Errorf("run %s: it ended by itself", e.name)
		}
	}
	h.drain()
	closeDoors()
	h.closeServers()
	closeRooms()
	return errors.Join(failed, finish(&running, ended), h.packaging.close())
}

// drain refuses who is new, and waits for viewers to go elsewhere.
func (h *house) drain() {
	h.log.Info("shutdown begun")
	h.health.Drain()
	h.signaling.Drain()
	h.origin.Stop()
	ctx, cancel := context.WithTimeout(context.Background(), movingTime)
	defer cancel()
	h.sfu.Drain(ctx)
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for h.viewers() > 0 && len(h.cfg.Join) > 0 { // a node that is alone has nowhere to send them
		select {
		case <-ctx.Done():
			h.log.Info("viewers remained", "viewers", h.viewers())
			return
		case <-tick.C:
		}
	}
}

func (h *house) viewers() int {
	n := 0
	for _, s := range h.sfu.Streams() {
		n += s.Viewers
	}
	return n
}

// closeServers stops listening and lets running requests end.
func (h *house) closeServers() {
	ctx, cancel := context.WithTimeout(context.Background(), answeringTime)
	defer cancel()
	var all sync.WaitGroup
	for _, s := range h.servers {
		all.Go(func() { s.Shutdown(ctx) }) // waited for below
	}
	all.Wait()
}

// within reports whether gone is closed in that time. It is counted in pieces: while the
// machine stands still nothing can end, and that is one piece.
func within(gone <-chan struct{}, left time.Duration) bool {
	tick := time.NewTicker(lookTime)
	defer tick.Stop()
	for ; left > 0; left -= lookTime {
		select {
		case <-gone:
			return true
		case <-tick.C:
		}
	}
	return false
}

// finish waits for every part, and gathers what they said.
func finish(running *sync.WaitGroup, ended chan end) error {
	gone := make(chan struct{})
	go func() { // ends with the parts, or with the process
		running.Wait()
		close(gone)
	}()
	if !within(gone, endingTime) {
		return errors.New("stop: some parts did not end in time; leaving anyway")
	}
	close(ended)
	var failed error
	for e := range ended {
		failed = errors.Join(failed, named(e.name, e.err))
	}
	return failed
}
