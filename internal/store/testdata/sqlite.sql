-- +goose Up
CREATE TABLE assets (
	id        TEXT PRIMARY KEY,
	stream    TEXT    NOT NULL,
	kind      TEXT    NOT NULL,
	title     TEXT    NOT NULL,
	title_key TEXT    NOT NULL, -- what titles are sorted by
	state     TEXT    NOT NULL,
	reason    TEXT    NOT NULL,
	public    INTEGER NOT NULL,
	started   INTEGER NOT NULL, -- microseconds since 1970 (UTC), 0 for none; so are all times
	ended     INTEGER NOT NULL,
	duration  INTEGER NOT NULL, -- microseconds
	size      INTEGER NOT NULL, -- bytes
	width     INTEGER NOT NULL,
	height    INTEGER NOT NULL,
	keep      INTEGER NOT NULL, -- days
	views     INTEGER NOT NULL,
	path      TEXT    NOT NULL,
	parent    TEXT    NOT NULL,
	detail    TEXT    NOT NULL, -- JSON of what nobody searches by
	version   INTEGER NOT NULL,
	created   INTEGER NOT NULL,
	updated   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX assets_started  ON assets (started, id);
CREATE INDEX assets_title    ON assets (title_key, id);
CREATE INDEX assets_duration ON assets (duration, id);
CREATE INDEX assets_views    ON assets (views, id);
CREATE INDEX assets_stream   ON assets (stream, started, id);
CREATE INDEX assets_public   ON assets (public) WHERE public = 1;
CREATE INDEX assets_keep   ON assets (keep) WHERE keep > 0;
CREATE INDEX assets_state    ON assets (state, started, id) WHERE state <> 'ready';

CREATE TABLE asset_terms (
	term  TEXT NOT NULL,
	asset TEXT NOT NULL,
	PRIMARY KEY (term, asset)
) WITHOUT ROWID;
CREATE INDEX asset_terms_asset ON asset_terms (asset, term);

CREATE TABLE asset_events (
	seq    INTEGER PRIMARY KEY AUTOINCREMENT,
	asset  TEXT    NOT NULL,
	stream TEXT    NOT NULL,
	kind   TEXT    NOT NULL,
	at     INTEGER NOT NULL,
	detail TEXT    NOT NULL
);

-- +goose Down
DROP TABLE asset_events;
DROP TABLE asset_terms;
DROP TABLE assets;
