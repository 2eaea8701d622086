package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluice-live/sluice/media"
)

// detail is what nobody searches by.
type detail struct {
	Description string                 `json:"description,omitempty"`
	Labels      []string               `json:"labels,omitempty"`
	Codecs      []string               `json:"codecs,omitempty"`
	Renditions  []media.AssetRendition `json:"renditions,omitempty"`
	Gaps        []media.Gap            `json:"gaps,omitempty"`
	Thumbnail   bool                   `json:"thumbnail,omitempty"`
	Storyboard  bool                   `json:"storyboard,omitempty"`
	Subtitles   []string               `json:"subtitles,omitempty"`
	Original    *media.Original        `json:"original,omitempty"`
}

// columns of a row, in the order in which values writes and scan reads them.
const columns = "id, stream, kind, title, title_key, state, reason, public, started, ended, duration, size, width, height, " +
	"keep, views, path, parent, detail, version, created, updated"

// maxTitleKey bounds what an index holds of a title, in bytes.
const maxTitleKey = 200

func values(a media.Asset) ([]any, error) {
	var original *media.Original
	if a.Original.Size > 0 {
		original = &a.Original
	}
	d, err := json.Marshal(detail{
		Description: a.Description, Labels: a.Labels, Codecs: a.Codecs, Renditions: a.Renditions, Gaps: a.Gaps,
		Thumbnail: a.Thumbnail, Storyboard: a.Storyboard, Subtitles: a.Subtitles, Original: original,
	})
	if err != nil {
		return nil, fmt.Errorf("write asset %s: %w", a.ID, err)
	}
	public := 0
	if a.Public {
		public = 1
	}
	return []any{
		a.ID, string(a.Stream), string(a.Kind), a.Title, titleKey(a.Title), string(a.State), a.Reason, public,
		micros(a.Started), micros(a.Ended), a.Duration.Microseconds(), a.Size, a.Width, a.Height,
		a.Keep, a.Views, a.Path, a.Parent, string(d), a.Version, micros(a.Created), micros(a.Updated),
	}, nil
}

// titleKey is what a title is sorted by.
func titleKey(title string) string {
	key := strings.ToLower(strings.TrimSpace(title))
	if len(key) > maxTitleKey {
		key = key[:maxTitleKey]
	}
	return strings.ToValidUTF8(key, "")
}

type scanner interface{ Scan(into ...any) error }

func scan(row scanner) (a media.Asset, err error) {
	var key, d string
	var public int
	var started, ended, duration, created, updated int64
	err = row.Scan(&a.ID, &a.Stream, &a.Kind, &a.Title, &key, &a.State, &a.Reason, &public, &started, &ended, &duration,
		&a.Size, &a.Width, &a.Height, &a.Keep, &a.Views, &a.Path, &a.Parent, &d, &a.Version, &created, &updated)
	if errors.Is(err, sql.ErrNoRows) {
		return a, media.ErrNotFound
	}
	if err != nil {
		return a, err
	}
	a.Public, a.Duration = public != 0, time.Duration(duration)*time.Microsecond
	a.Started, a.Ended, a.Created, a.Updated = fromMicros(started), fromMicros(ended), fromMicros(created), fromMicros(updated)
	var more detail
	if err := json.Unmarshal([]byte(d), &more); err != nil {
		return a, fmt.Errorf("read asset %s: %w", a.ID, err)
	}
	a.Description, a.Labels, a.Codecs, a.Renditions, a.Gaps = more.Description, more.Labels, more.Codecs, more.Renditions, more.Gaps
	a.Thumbnail, a.Storyboard, a.Subtitles = more.Thumbnail, more.Storyboard, more.Subtitles
	if more.Original != nil {
		a.Original = *more.Original
	}
	return a, nil
}

// Asset is one row, or media.ErrNotFound.
func (s *Store) Asset(ctx context.Context, id string) (media.Asset, error) {
	a, err := scan(s.read.QueryRowContext(ctx, s.bind("SELECT "+columns+" FROM assets WHERE id = ?"), id))
	if err != nil {
		return a, fmt.Errorf("read asset %q: %w", id, err)
	}
	return a, nil
}

// Save writes a row and, in the same transaction, events. Version is the one that
// was read (0: there is no row yet); media.ErrStale when the row has another. It
// returns the version that the row has now. Views are not written.
func (s *Store) Save(ctx context.Context, a media.Asset, events ...media.AssetEvent) (int64, error) {
	was := a.Version
	a.Version++
	row, err := values(a)
	if err != nil {
		return 0, err
	}
	err = s.transact(ctx, func(tx *sql.Tx) error {
		if err := s.put(ctx, tx, row, was); err != nil {
			return err
		}
		if err := s.putTerms(ctx, tx, a); err != nil {
			return err
		}
		return s.putEvents(ctx, tx, events)
	})
	if err != nil {
		return 0, fmt.Errorf("save asset %q: %w", a.ID, err)
	}
	return a.Version, nil
}

func (s *Store) put(ctx context.Context, tx *sql.Tx, row []any, was int64) error {
	names := strings.Split(columns, ", ")
	query := "INSERT INTO assets (" + columns + ") VALUES (?" + strings.Repeat(", ?", len(row)-1) + ") ON CONFLICT DO NOTHING"
	args := row
	if was > 0 {
		var set []string
		args = nil
		for i, name := range names {
			if name == "id" || name == "views" || name == "created" {
				continue
			}
			set, args = append(set, name+" = ?"), append(args, row[i])
		}
		query = "UPDATE assets SET " + strings.Join(set, ", ") + " WHERE id = ? AND version = ?"
		args = append(args, row[0], was)
	}
	done, err := tx.ExecContext(ctx, s.bind(query), args...)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n == 1 {
		return err
	}
	var there int
	err = tx.QueryRowContext(ctx, s.bind("SELECT count(*) FROM assets WHERE id = ?"), row[0]).Scan(&there)
	if err == nil && there == 0 {
		return media.ErrNotFound
	}
	return cmpErr(err, media.ErrStale)
}

func cmpErr(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// putTerms writes what an asset is found by, if it is not what it was.
func (s *Store) putTerms(ctx context.Context, tx *sql.Tx, a media.Asset) error {
	want := terms(a)
	have, err := s.strings(ctx, tx, "SELECT term FROM asset_terms WHERE asset = ? ORDER BY term", a.ID)
	if err != nil || slices.Equal(have, want) {
		return err
	}
	if _, err := tx.ExecContext(ctx, s.bind("DELETE FROM asset_terms WHERE asset = ?"), a.ID); err != nil || len(want) == 0 {
		return err
	}
	var args []any
	for _, term := range want {
		args = append(args, term, a.ID)
	}
	_, err = tx.ExecContext(ctx, s.bind("INSERT INTO asset_terms (term, asset) VALUES (?, ?)"+strings.Repeat(", (?, ?)", len(want)-1)), args...)
	return err
}

func (s *Store) strings(ctx context.Context, tx *sql.Tx, query string, args ...any) (all []string, err error) {
	rows, err := tx.QueryContext(ctx, s.bind(query), args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}

// Remove deletes a row and writes the event. A row that is not there is no error,
// and then nothing is written.
func (s *Store) Remove(ctx context.Context, id string, event media.AssetEvent) error {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, s.bind("DELETE FROM assets WHERE id = ?"), id)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err
		}
		if _, err := tx.ExecContext(ctx, s.bind("DELETE FROM asset_terms WHERE asset = ?"), id); err != nil {
			return err
		}
		return s.putEvents(ctx, tx, []media.AssetEvent{event})
	})
	if err != nil {
		return fmt.Errorf("remove asset %q: %w", id, err)
	}
	return nil
}

// Viewed adds to the counts of views; it does not change versions.
func (s *Store) Viewed(ctx context.Context, views map[string]int64) error {
	err := s.transact(ctx, func(tx *sql.Tx) error {
		for id, n := range views {
			if _, err := tx.ExecContext(ctx, s.bind("UPDATE assets SET views = views + ? WHERE id = ?"), n, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("count views: %w", err)
	}
	return nil
}
