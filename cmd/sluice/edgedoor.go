package main

import (
	"net/http"

	"github.com/sluice-live/sluice/cmd/sluice/front"
	"github.com/sluice-live/sluice/hls-fallback/edge"
)

// edgeDoor answers probes itself, and hands all else to the edge.
type edgeDoor struct {
	health *front.Health
	edge   *edge.Edge
}

func (d *edgeDoor) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		if !d.health.Route(w, r) {
			d.edge.ServeHTTP(w, r)
		}
	})
}
