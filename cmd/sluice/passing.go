package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling"
)

const (
	// maxPassing bounds the requests that wait for one node: captions of a minute at the
	// rate that is let in. What comes beyond is lost for that node.
	maxPassing = 600
	// passingTakes is what one may take: a caption that is later is of no use.
	passingTakes = 3 * time.Second
)

// passing gives captions to the other nodes that make the same playlists, with the
// rights of who sent them. One node after the other would wait for the slowest: each has
// its own queue.
type passing struct {
	log    *slog.Logger
	client *http.Client
	nodes  []*passingTo
}

type passingTo struct {
	node    string
	queue   chan caption
	failing bool // told
}

type caption struct {
	authorization string
	stream        media.StreamID
	all           []media.Caption
}

func newPassing(nodes []string, log *slog.Logger) *passing {
	p := &passing{log: log, client: &http.Client{
		Timeout:       passingTakes,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	for _, node := range nodes {
		p.nodes = append(p.nodes, &passingTo{node: strings.TrimSuffix(node, "/"), queue: make(chan caption, maxPassing)})
	}
	return p
}

// on is signaling's PassOn.
func (p *passing) on(authorization string, stream media.StreamID, all []media.Caption) {
	for _, to := range p.nodes {
		select {
		case to.queue <- caption{authorization, stream, all}:
		default: // it does not answer, and that was told
		}
	}
}

// run sends until ctx is done.
func (p *passing) run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, to := range p.nodes {
		all.Go(func() { // waited for below
			for {
				select {
				case c := <-to.queue:
					p.tell(to, p.send(ctx, to.node, c))
				case <-ctx.Done():
					return
				}
			}
		})
	}
	all.Wait()
	return nil
}

// tell says once that a node takes no captions, and once that it does.
func (p *passing) tell(to *passingTo, err error) {
	if failing := err != nil; failing != to.failing {
		to.failing = failing
		if failing {
			p.log.Warn("captions not passed on; they are in this node's playlists alone", "node", to.node, "err", err)
		} else {
			p.log.Info("captions passed on again", "node", to.node)
		}
	}
}

func (p *passing) send(ctx context.Context, node string, c caption) error {
	b, err := json.Marshal(c.all)
	if err != nil {
		return fmt.Errorf("write captions: %w", err)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, node+"/v1/streams/"+string(c.stream)+"/captions", bytes.NewReader(b))
	if err != nil {
		return fmt.Errorf("pass captions on: %w", err)
	}
	r.Header.Set("Authorization", c.authorization)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(signaling.PassedHeader, "1")
	resp, err := p.client.Do(r)
	if err != nil {
		return fmt.Errorf("pass captions on: %w", err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4<<10))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("pass captions on: the node answers %s", resp.Status)
	}
	return nil
}
