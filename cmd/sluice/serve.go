package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sluice-live/sluice/cmd/sluice/config"
	"github.com/sluice-live/sluice/signaling"
)

// serveCmd runs the server until it is asked to stop.
type serveCmd struct{ nodeFlags }

// Run builds the house, says where it is, and runs it.
func (c *serveCmd) Run(ctx context.Context, term terminal) error {
	cfg, err := c.load(term, c.given())
	if err != nil {
		return err
	}
	log := logger(cfg.Log, term)
	h, err := build(cfg, log)
	if err != nil {
		return err
	}
	defer h.data.close()
	if h.data.first {
		if err := h.welcome(term.out); err != nil {
			h.abandon()
			return err
		}
	}
	if err := h.data.keep(); err != nil {
		h.abandon()
		return err
	}
	if len(cfg.Join) > 0 {
		log.Warn("nodes not joined: clusters are not built yet, this node runs alone", "join", cfg.Join)
	}
	return h.run(ctx)
}

// logger writes to standard error; records that belong to a request carry its
// trace identifier.
func logger(cfg config.Log, term terminal) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(cfg.Level)) // validated with the configuration
	options := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(signaling.LogHandler(slog.NewJSONHandler(term.err, options)))
	}
	return slog.New(signaling.LogHandler(slog.NewTextHandler(term.err, options)))
}

// started logs where the house can be reached.
func (h *house) started() {
	attrs := []any{"version", version(), "media", h.sfu.Port(), "data", h.data.dir}
	for _, s := range h.servers {
		attrs = append(attrs, s.Name, s.Addr().String())
	}
	h.log.Info("node started", attrs...)
}

// named gives an error the name of the part that it ended.
func named(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("run %s: %w", name, err)
}
