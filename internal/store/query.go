package store

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/sluice-live/sluice/media"
)

const (
	maxPage  = 500
	maxTerms = 256 // of one asset
	maxTerm  = 64  // bytes
	maxWords = 8   // of a query
	// few is how many hits are fetched and sorted at once, or, when there is another
	// condition that most of them fail, looked at. With more of them, walking along
	// the order finds a page soon.
	few     = 2000
	several = 10_000
)

// split cuts a text into the words that it is found by.
func split(text string) []string {
	return strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
}

func cut(term string) string {
	if len(term) > maxTerm {
		term = strings.ToValidUTF8(term[:maxTerm], "")
	}
	return term
}

// label is the term of a whole label; no word begins with a '#'.
func label(text string) string { return cut("#" + strings.ToLower(strings.TrimSpace(text))) }

// terms are what an asset is found by, sorted.
func terms(a media.Asset) []string {
	var all []string
	for _, l := range a.Labels {
		all = append(all, label(l))
	}
	for _, text := range append([]string{a.Title, string(a.Stream), a.Description}, a.Labels...) {
		for _, word := range split(text) {
			all = append(all, cut(word))
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), maxTerms)]
}

// past is a text behind all that begin with prefix. Code points sort as their
// UTF-8 does.
func past(prefix string) string {
	runes := []rune(prefix)
	for i := len(runes) - 1; i >= 0; i-- {
		next := runes[i] + 1
		if next == 0xd800 { // surrogates are no characters
			next = 0xe000
		}
		if next <= unicode.MaxRune {
			return string(runes[:i]) + string(next)
		}
	}
	return string(unicode.MaxRune)
}

// clause is a piece of a statement with its arguments.
type clause struct {
	text string
	args []any
}

// choice is one condition, as a list of identifiers that it holds for, and as a
// test of one asset (a).
type choice struct {
	list, test clause
	// count is list, but may name an asset twice: to leave that out, all of them would
	// have to be read before the first is counted.
	count clause
	terms bool // it looks at terms alone
}

func termChoice(cond string, args ...any) choice {
	return choice{
		list:  clause{"SELECT DISTINCT asset AS id FROM asset_terms WHERE " + cond, args},
		count: clause{"SELECT asset AS id FROM asset_terms WHERE " + cond, args},
		// With an OFFSET PostgreSQL tests one asset after the other, and does not turn the
		// test into a join with all that hold the word.
		test:  clause{"EXISTS (SELECT 1 FROM asset_terms WHERE asset = a.id AND " + cond + " LIMIT 1 OFFSET 0)", args},
		terms: true,
	}
}

// rowChoice is a condition on columns. test says the same so that no index answers
// it: a walk along the order must stay one.
func rowChoice(list, test string, args ...any) choice {
	all := clause{"SELECT id FROM assets WHERE " + list, args}
	return choice{list: all, count: all, test: clause{"(" + test + ")", args}}
}

// choices are the conditions that may be much narrower than the whole.
func choices(q media.AssetQuery) []choice {
	var all []choice
	var words []string
	for _, w := range q.Words {
		words = append(words, split(w)...)
	}
	for _, w := range words[:min(len(words), maxWords)] {
		w = cut(w)
		all = append(all, termChoice("term >= ? AND term < ?", w, past(w)))
	}
	if q.Label != "" {
		all = append(all, termChoice("term = ?", label(q.Label)))
	}
	if q.Stream != "" && q.Order != media.ByStarted {
		all = append(all, rowChoice("stream = ?", "a.stream || '' = ?", string(q.Stream)))
	}
	if q.Own {
		all = append(all, rowChoice("keep > 0", "a.keep + 0 > 0"))
	}
	if q.Streams != nil && !slices.Contains(q.Streams, "*") {
		all = append(all, allowed(q))
	}
	return all
}

// allowed is the condition that one of the patterns matches.
func allowed(q media.AssetQuery) choice {
	var list, test []string
	var args []any
	for _, p := range q.Streams {
		if prefix, ok := strings.CutSuffix(string(p), "*"); ok {
			list, test = append(list, "(stream >= ? AND stream < ?)"), append(test, "(a.stream || '' >= ? AND a.stream || '' < ?)")
			args = append(args, prefix, past(prefix))
			continue
		}
		list, test, args = append(list, "stream = ?"), append(test, "a.stream || '' = ?"), append(args, string(p))
	}
	if q.OrPublic {
		list, test = append(list, "public = 1"), append(test, "a.public + 0 = 1")
	}
	if list == nil {
		return rowChoice("1 = 0", "1 = 0")
	}
	return rowChoice(strings.Join(list, " OR "), strings.Join(test, " OR "), args...)
}

// plain are the conditions that are only ever tested.
func plain(q media.AssetQuery) []clause {
	var all []clause
	switch {
	case q.State == "":
		all = append(all, clause{"a.state <> 'deleting'", nil})
	case q.State == media.AssetReady:
		all = append(all, clause{"a.state = 'ready'", nil})
	default: // the second half leads to the partial index
		all = append(all, clause{"a.state = ? AND a.state <> 'ready'", []any{string(q.State)}})
	}
	if q.Stream != "" {
		all = append(all, clause{"a.stream = ?", []any{string(q.Stream)}})
	}
	if !q.EndedBefore.IsZero() {
		all = append(all, clause{"a.ended > 0 AND a.ended < ?", []any{micros(q.EndedBefore)}})
	}
	return all
}

// orders are the columns that lists are sorted by.
var orders = map[media.AssetOrder]string{
	media.ByStarted: "started", media.ByTitle: "title_key", media.ByDuration: "duration", media.ByViews: "views",
}

// cursor is where a page ended.
type cursor struct {
	Order string `json:"o"`
	Text  string `json:"t,omitempty"`
	Num   int64  `json:"n,omitempty"`
	ID    string `json:"i"`
}

func (c cursor) key() any {
	if c.Order == "title_key" {
		return c.Text
	}
	return c.Num
}

func cursorOf(column string, a media.Asset) string {
	c := cursor{Order: column, ID: a.ID}
	switch column {
	case "started":
		c.Num = micros(a.Started)
	case "duration":
		c.Num = a.Duration.Microseconds()
	case "views":
		c.Num = a.Views
	default:
		c.Text = titleKey(a.Title)
	}
	b, _ := json.Marshal(c) // strings and numbers
	return base64.RawURLEncoding.EncodeToString(b)
}

func readCursor(text, column string) (c cursor, err error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil {
		err = json.Unmarshal(b, &c)
	}
	if err != nil || c.Order != column || c.ID == "" {
		return c, fmt.Errorf("%w: the cursor is not one of this list", media.ErrBadQuery)
	}
	return c, nil
}

// Assets lists what the query asks for, sorted, a page at a time. Cursors are keys,
// not counts: a page costs the same wherever it is.
func (s *Store) Assets(ctx context.Context, q media.AssetQuery) (media.AssetPage, error) {
	if q.Order == "" {
		q.Order = media.ByStarted
	}
	column, ok := orders[q.Order]
	if !ok {
		return media.AssetPage{}, fmt.Errorf("%w: assets are not sorted by %q", media.ErrBadQuery, q.Order)
	}
	if q.Limit < 1 || q.Limit > maxPage {
		q.Limit = maxPage
	}
	conds := plain(q)
	if q.After != "" {
		c, err := readCursor(q.After, column)
		if err != nil {
			return media.AssetPage{}, err
		}
		conds = append(conds, clause{"(a." + column + ", a.id) " + pick(q.Reverse, "<", ">") + " (?, ?)", []any{c.key(), c.ID}})
	}
	page, err := s.page(ctx, q, column, conds)
	if err != nil {
		return media.AssetPage{}, fmt.Errorf("list assets: %w", err)
	}
	return page, nil
}

func (s *Store) page(ctx context.Context, q media.AssetQuery, column string, conds []clause) (media.AssetPage, error) {
	all := choices(q)
	narrow, err := s.narrowest(ctx, all)
	if err != nil {
		return media.AssetPage{}, err
	}
	var query strings.Builder
	var args []any
	from := "assets a WHERE "
	var inside, outside []clause
	for i, c := range all {
		switch {
		case i == narrow:
		case narrow >= 0 && c.terms:
			inside = append(inside, c.test)
		default:
			outside = append(outside, c.test)
		}
	}
	conds = append(conds, outside...)
	if narrow >= 0 {
		// MATERIALIZED and CROSS JOIN keep SQLite to this order: terms that are tested
		// first spare it the rows. PostgreSQL is kept to it by a subquery for each hit,
		// or it reads all rows and joins them: it takes a few words for many.
		query.WriteString("WITH hits AS MATERIALIZED (SELECT a.id FROM (" + all[narrow].list.text + ") AS a WHERE 1 = 1")
		args = append(args, all[narrow].list.args...)
		for _, c := range inside {
			query.WriteString(" AND " + c.text)
			args = append(args, c.args...)
		}
		query.WriteString(") ")
		from = "hits CROSS JOIN assets a WHERE a.id = hits.id AND "
		if s.postgres {
			from = "hits CROSS JOIN LATERAL (SELECT * FROM assets WHERE id = hits.id OFFSET 0) a WHERE "
		}
	}
	var texts []string
	for _, c := range conds {
		texts, args = append(texts, c.text), append(args, c.args...)
	}
	down := pick(q.Reverse, " DESC", "")
	query.WriteString("SELECT " + "a." + strings.ReplaceAll(columns, ", ", ", a.") + " FROM " + from + strings.Join(texts, " AND ") +
		" ORDER BY a." + column + down + ", a.id" + down + " LIMIT ?")
	found, err := s.list(ctx, query.String(), append(args, q.Limit+1)...)
	if err != nil || len(found) <= q.Limit {
		return media.AssetPage{Assets: found}, err
	}
	found = found[:q.Limit]
	return media.AssetPage{Assets: found, Next: cursorOf(column, found[q.Limit-1])}, nil
}

// narrowest is the condition with the fewest hits, or -1 when each has many.
func (s *Store) narrowest(ctx context.Context, all []choice) (int, error) {
	best, fewest := -1, 0
	for i, c := range all {
		most := few
		if c.terms && len(all) > 1 {
			most = several
		}
		if best >= 0 {
			most = min(most, fewest-1)
		}
		var n int
		query := fmt.Sprintf("SELECT count(*) FROM (%s LIMIT %d) AS hits", c.count.text, most+1)
		if err := s.read.QueryRowContext(ctx, s.bind(query), c.count.args...).Scan(&n); err != nil {
			return 0, err
		}
		if n <= most {
			best, fewest = i, n
		}
	}
	return best, nil
}

func (s *Store) list(ctx context.Context, query string, args ...any) (all []media.Asset, err error) {
	rows, err := s.read.QueryContext(ctx, s.bind(query), args...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		a, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, rows.Err()
}

func pick(yes bool, one, other string) string {
	if yes {
		return one
	}
	return other
}
