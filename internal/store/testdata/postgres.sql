-- +goose Up
-- Text is compared byte by byte, as SQLite does: cursors and prefixes rely on it.
CREATE TABLE assets (
	id        TEXT COLLATE "C" PRIMARY KEY,
	stream    TEXT COLLATE "C" NOT NULL,
	kind      TEXT     NOT NULL,
	title     TEXT     NOT NULL,
	title_key TEXT COLLATE "C" NOT NULL, -- what titles are sorted by
	state     TEXT     NOT NULL,
	reason    TEXT     NOT NULL,
	public    SMALLINT NOT NULL,
	started   BIGINT   NOT NULL, -- microseconds since 1970 (UTC), 0 for none; so are all times
	ended     BIGINT   NOT NULL,
	duration  BIGINT   NOT NULL, -- microseconds
	size      BIGINT   NOT NULL, -- bytes
	width     INTEGER  NOT NULL,
	height    INTEGER  NOT NULL,
	keep      INTEGER  NOT NULL, -- days
	views     BIGINT   NOT NULL,
	path      TEXT     NOT NULL,
	parent    TEXT     NOT NULL,
	detail    TEXT     NOT NULL, -- JSON of what nobody searches by
	version   BIGINT   NOT NULL,
	created   BIGINT   NOT NULL,
	updated   BIGINT   NOT NULL
);
CREATE INDEX assets_started  ON assets (started, id);
CREATE INDEX assets_title    ON assets (title_key, id);
CREATE INDEX assets_duration ON assets (duration, id);
CREATE INDEX assets_views    ON assets (views, id);
CREATE INDEX assets_stream   ON assets (stream, started, id);
CREATE INDEX assets_public   ON assets (public) WHERE public = 1;
CREATE INDEX assets_keep   ON assets (keep) WHERE keep > 0;
CREATE INDEX assets_state    ON assets (state, started, id) WHERE state <> 'ready';

CREATE TABLE asset_terms (
	term  TEXT COLLATE "C" NOT NULL,
	asset TEXT COLLATE "C" NOT NULL,
	PRIMARY KEY (term, asset)
);
CREATE INDEX asset_terms_asset ON asset_terms (asset, term);

CREATE TABLE asset_events (
	seq    BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	asset  TEXT   NOT NULL,
	stream TEXT   NOT NULL,
	kind   TEXT   NOT NULL,
	at     BIGINT NOT NULL,
	detail TEXT   NOT NULL
);

-- +goose Down
DROP TABLE asset_events;
DROP TABLE asset_terms;
DROP TABLE assets;
