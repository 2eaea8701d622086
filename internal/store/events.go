package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/sluice-live/sluice/media"
)

// outboxLock is the number of PostgreSQL's advisory lock under which events are
// written. Numbers are given out before a transaction commits: without it a reader
// could go past one that is about to appear.
const outboxLock = 0x736c7569

func (s *Store) putEvents(ctx context.Context, tx *sql.Tx, events []media.AssetEvent) error {
	if len(events) == 0 {
		return nil
	}
	if s.postgres {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", outboxLock); err != nil {
			return err
		}
	}
	for _, e := range events {
		_, err := tx.ExecContext(ctx, s.bind("INSERT INTO asset_events (asset, stream, kind, at, detail) VALUES (?, ?, ?, ?, ?)"),
			e.Asset, string(e.Stream), string(e.Kind), micros(e.At), e.Detail)
		if err != nil {
			return err
		}
	}
	return nil
}

// Events are the oldest events after a number, at most limit of them.
func (s *Store) Events(ctx context.Context, after int64, limit int) (all []media.AssetEvent, err error) {
	rows, err := s.read.QueryContext(ctx, s.bind("SELECT seq, asset, stream, kind, at, detail FROM asset_events WHERE seq > ? ORDER BY seq LIMIT ?"), after, limit)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var e media.AssetEvent
		var at int64
		if err := rows.Scan(&e.Seq, &e.Asset, &e.Stream, &e.Kind, &at, &e.Detail); err != nil {
			return nil, fmt.Errorf("read events: %w", err)
		}
		e.At = fromMicros(at)
		all = append(all, e)
	}
	return all, rows.Err()
}

// trimAtOnce is how many events one statement deletes: SQLite has one writer, and others
// wait for it.
const trimAtOnce = 1000

// TrimEvents deletes the events before a time, and all but the newest few.
func (s *Store) TrimEvents(ctx context.Context, before time.Time, newest int64) error {
	for {
		done, err := s.write.ExecContext(ctx, s.bind(`DELETE FROM asset_events WHERE seq IN (
			SELECT seq FROM asset_events WHERE at < ? OR seq <= (SELECT coalesce(max(seq), 0) FROM asset_events) - ? ORDER BY seq LIMIT ?)`),
			micros(before), newest, trimAtOnce)
		if err != nil {
			return fmt.Errorf("trim events: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n < trimAtOnce {
			return err
		}
	}
}
