package store_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/sluice-live/sluice/internal/store"
	"github.com/sluice-live/sluice/media"
)

// conform is what both databases promise. Each test gets an empty one.
func conform(t *testing.T, open func(t *testing.T) *store.Store) {
	tests := map[string]func(*testing.T, *store.Store){
		"a row comes back as it was":              rowComesBack,
		"only one of two changes wins":            oneChangeWins,
		"the same beginning told twice is one":    toldTwice,
		"events come in order, once, with rows":   eventsInOrder,
		"events are trimmed by age and by number": eventsTrimmed,
		"a row that is gone is gone for searches": goneIsGone,
		"views change no version":                 viewsCount,
		"lists answer as a plain model does":      listsLikeModel,
		"pages neither repeat nor miss":           pagesWhileGrowing,
		"a foreign cursor is refused":             foreignCursor,
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

var start = time.Date(2026, 11, 20, 9, 0, 0, 123456000, time.UTC)

func full(id string) media.Asset {
	return media.Asset{
		ID: id, Stream: "school.math", Kind: media.Recorded, Title: "Über Brüche", Description: "Lesson 3: halves & thirds",
		Labels: []string{"Genre: Drama", "class-5b"}, Public: true, State: media.AssetReady, Reason: "none",
		Started: start, Ended: start.Add(time.Hour), Duration: time.Hour, Size: 1 << 40, Codecs: []string{"avc1.42c01f", "opus"},
		Width: 1920, Height: 1080,
		Renditions: []media.AssetRendition{{ID: "video-h", Codec: "avc1.42c01f", Width: 1920, Height: 1080, Bitrate: 2_500_000}},
		Gaps:       []media.Gap{{Rendition: "video-h", Start: time.Second, End: 2 * time.Second, Why: "lost"}},
		Path:       "recordings/school.math/" + id, Thumbnail: true, Storyboard: true, Subtitles: []string{"de"}, Keep: -1,
		Parent: "aaaaaaaaaaaaaaaa", Created: start, Updated: start.Add(time.Minute),
	}
}

func save(t *testing.T, s *store.Store, a media.Asset, events ...media.AssetEvent) media.Asset {
	t.Helper()
	v, err := s.Save(context.Background(), a, events...)
	if err != nil {
		t.Fatal(err)
	}
	a.Version = v
	return a
}

func rowComesBack(t *testing.T, s *store.Store) {
	want := save(t, s, full("a"))
	got, err := s.Asset(t.Context(), "a")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
	want.Title, want.Labels, want.State = "Other", nil, media.AssetFailed
	want = save(t, s, want)
	if got, err = s.Asset(t.Context(), "a"); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("changed: got %+v, %v\nwant %+v", got, err, want)
	}
	if _, err := s.Asset(t.Context(), "b"); !errors.Is(err, media.ErrNotFound) {
		t.Errorf("a row that is not there: %v", err)
	}
	want.ID = "b"
	if _, err := s.Save(t.Context(), want); !errors.Is(err, media.ErrNotFound) {
		t.Errorf("change of a row that is not there: %v", err)
	}
}

func oneChangeWins(t *testing.T, s *store.Store) {
	a := save(t, s, full("a"))
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			mine := a
			mine.Title = fmt.Sprint("change ", i)
			_, errs[i] = s.Save(context.Background(), mine, media.AssetEvent{Asset: "a", Kind: media.AssetIsReady, At: start})
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, media.ErrStale) {
			t.Error(err)
		}
	}
	events, err := s.Events(t.Context(), 0, 100)
	if won != 1 || len(events) != 1 || err != nil {
		t.Errorf("%d changes won with %d events (%v), want one", won, len(events), err)
	}
}

func toldTwice(t *testing.T, s *store.Store) {
	save(t, s, full("a"), media.AssetEvent{Asset: "a", Kind: media.AssetBegan, At: start})
	if _, err := s.Save(t.Context(), full("a"), media.AssetEvent{Asset: "a", Kind: media.AssetBegan, At: start}); !errors.Is(err, media.ErrStale) {
		t.Errorf("a second insertion: %v", err)
	}
	if events, err := s.Events(t.Context(), 0, 10); len(events) != 1 || err != nil {
		t.Errorf("%v, %v", events, err)
	}
}

func eventsInOrder(t *testing.T, s *store.Store) {
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			id := fmt.Sprint("a", i)
			_, err := s.Save(context.Background(), full(id), media.AssetEvent{Asset: id, Stream: "x", Kind: media.AssetBegan, At: start, Detail: "d"})
			if err != nil {
				t.Error(err)
			}
		})
	}
	// A reader that goes along while they are written sees each of them once.
	seen := map[string]bool{}
	after := int64(0)
	read := func() {
		events, err := s.Events(t.Context(), after, 7)
		if err != nil {
			t.Error(err)
		}
		for _, e := range events {
			if e.Seq <= after || seen[e.Asset] || e.Stream != "x" || !e.At.Equal(start) || e.Detail != "d" {
				t.Errorf("read %+v after %d", e, after)
			}
			after, seen[e.Asset] = e.Seq, true
		}
	}
	for range 20 {
		read()
	}
	wg.Wait()
	for range 10 {
		read()
	}
	if len(seen) != 40 {
		t.Errorf("%d of 40 events were read", len(seen))
	}
}

func eventsTrimmed(t *testing.T, s *store.Store) {
	const many = 2500 // more than one statement deletes
	a := save(t, s, full("a"))
	all := make([]media.AssetEvent, many)
	for i := range all {
		all[i] = media.AssetEvent{Asset: "a", Kind: media.AssetIsReady, At: start.Add(time.Duration(i) * time.Second)}
	}
	save(t, s, a, all...)
	// left is the first that is left, and how many are.
	left := func() (first int64, n int) {
		t.Helper()
		events, err := s.Events(t.Context(), 0, 2*many)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return 0, 0
		}
		return events[0].Seq, len(events)
	}
	begin, _ := left()
	for _, step := range []struct {
		before time.Duration
		newest int64
		want   int
	}{
		{0, many, many},
		{2200 * time.Second, many, 300},
		{2200 * time.Second, many, 300},
		{0, 20, 20},
		{time.Hour, many, 0},
		{time.Hour, many, 0},
	} {
		if err := s.TrimEvents(t.Context(), start.Add(step.before), step.newest); err != nil {
			t.Fatal(err)
		}
		if first, n := left(); n != step.want || n > 0 && first != begin+int64(many-n) {
			t.Errorf("before %v, the newest %d: %d are left from %d on, want the newest %d", step.before, step.newest, n, first-begin, step.want)
		}
	}
	b := full("b")
	save(t, s, b, media.AssetEvent{Asset: "b", Kind: media.AssetBegan, At: start})
	if first, _ := left(); first < begin+many {
		t.Errorf("a number was given again: %d, where %d was given", first, begin+many-1)
	}
}

func goneIsGone(t *testing.T, s *store.Store) {
	save(t, s, full("a"))
	for range 2 {
		if err := s.Remove(t.Context(), "a", media.AssetEvent{Asset: "a", Kind: media.AssetDeleted, At: start}); err != nil {
			t.Error(err)
		}
	}
	page, err := s.Assets(t.Context(), media.AssetQuery{Words: []string{"bruche", "brüche"}[1:]})
	if len(page.Assets) != 0 || err != nil {
		t.Errorf("%v, %v", page, err)
	}
	if events, err := s.Events(t.Context(), 0, 10); len(events) != 1 || err != nil {
		t.Errorf("%v, %v", events, err)
	}
}

func viewsCount(t *testing.T, s *store.Store) {
	a := save(t, s, full("a"))
	for range 2 {
		if err := s.Viewed(t.Context(), map[string]int64{"a": 3, "none": 1}); err != nil {
			t.Fatal(err)
		}
	}
	a.Title = "a change by one who has not seen the views"
	save(t, s, a)
	if got, err := s.Asset(t.Context(), "a"); got.Views != 6 || err != nil {
		t.Errorf("%d views, %v", got.Views, err)
	}
}

var (
	someStreams = []media.StreamID{"a", "ab", "ab.c", "b", "B", "a-z", "a_z", "zz"}
	someWords   = []string{"math", "maths", "matter", "Über", "über", "x", "日本", "日曜", "100", "ß"}
	someLabels  = []string{"drama", "Drama", "comedy", "class 5b"}
	someStates  = []media.AssetState{media.AssetRecording, media.AssetProcessing, media.AssetReady, media.AssetReady, media.AssetDeleting}
)

func anyAsset(t *rapid.T, id string) media.Asset {
	words := func(name string) string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(someWords), 0, 3).Draw(t, name), " ")
	}
	at := start.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "start")) * time.Minute)
	return media.Asset{
		ID: id, Stream: rapid.SampledFrom(someStreams).Draw(t, "stream"), Title: words("title"), Description: words("description"),
		Labels: rapid.SliceOfN(rapid.SampledFrom(someLabels), 0, 2).Draw(t, "labels"),
		Public: rapid.Bool().Draw(t, "public"), State: rapid.SampledFrom(someStates).Draw(t, "state"),
		Started: at, Ended: at.Add(time.Minute), Duration: time.Duration(rapid.IntRange(0, 3).Draw(t, "duration")) * time.Second,
		Keep: rapid.IntRange(-1, 1).Draw(t, "keep"),
	}
}

func anyQuery(t *rapid.T) media.AssetQuery {
	some := func(name string) bool { return rapid.IntRange(0, 3).Draw(t, "with "+name) == 0 }
	q := media.AssetQuery{
		Order:   rapid.SampledFrom([]media.AssetOrder{"", media.ByStarted, media.ByTitle, media.ByDuration}).Draw(t, "order"),
		Reverse: rapid.Bool().Draw(t, "reverse"), Limit: rapid.IntRange(1, 9).Draw(t, "limit"),
	}
	if some("words") {
		q.Words = rapid.SliceOfN(rapid.SampledFrom([]string{"ma", "math", "MATHS", "日", "ü", "nothing", "a"}), 1, 2).Draw(t, "words")
	}
	if some("stream") {
		q.Stream = rapid.SampledFrom(someStreams).Draw(t, "stream")
	}
	if some("state") {
		q.State = rapid.SampledFrom(someStates).Draw(t, "state")
	}
	if some("label") {
		q.Label = rapid.SampledFrom(someLabels).Draw(t, "label")
	}
	if some("patterns") {
		q.Streams = rapid.SliceOfN(rapid.SampledFrom([]media.Pattern{"a", "a*", "ab.*", "B*", "*", "none"}), 0, 2).Draw(t, "patterns")
		q.OrPublic = rapid.Bool().Draw(t, "or public")
	}
	q.Own = some("days of its own")
	if some("ended") {
		q.EndedBefore = start.Add(time.Duration(rapid.IntRange(0, 7).Draw(t, "ended")) * time.Minute)
	}
	return q
}

// matches is the plain model of a query.
func matches(a media.Asset, q media.AssetQuery) bool {
	fold := func(texts ...string) []string { return strings.Fields(strings.ToLower(strings.Join(texts, " "))) }
	found := fold(a.Title, a.Description, strings.NewReplacer(".", " ", "-", " ", "_", " ").Replace(string(a.Stream)), strings.Join(a.Labels, " "))
	for _, w := range q.Words {
		if !slices.ContainsFunc(found, func(f string) bool { return strings.HasPrefix(f, strings.ToLower(w)) }) {
			return false
		}
	}
	labelled := slices.ContainsFunc(a.Labels, func(l string) bool { return strings.EqualFold(l, q.Label) })
	seen := q.Streams == nil || q.OrPublic && a.Public ||
		slices.ContainsFunc(q.Streams, func(p media.Pattern) bool { return p.Matches(a.Stream) })
	return seen && (q.Label == "" || labelled) && (q.Stream == "" || a.Stream == q.Stream) &&
		(q.State == "" && a.State != media.AssetDeleting || a.State == q.State) &&
		(!q.Own || a.Keep > 0) && (q.EndedBefore.IsZero() || a.Ended.Before(q.EndedBefore))
}

func order(q media.AssetQuery) func(a, b media.Asset) int {
	return func(a, b media.Asset) int {
		var c int
		switch q.Order {
		case media.ByTitle:
			c = strings.Compare(strings.ToLower(a.Title), strings.ToLower(b.Title))
		case media.ByDuration:
			c = cmp.Compare(a.Duration, b.Duration)
		default:
			c = a.Started.Compare(b.Started)
		}
		c = cmp.Or(c, strings.Compare(a.ID, b.ID))
		if q.Reverse {
			return -c
		}
		return c
	}
}

func listsLikeModel(t *testing.T, s *store.Store) {
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		for _, a := range everything(t, s) {
			if err := s.Remove(context.Background(), a.ID, media.AssetEvent{}); err != nil {
				t.Fatal(err)
			}
		}
		run++
		var all []media.Asset
		for i := range rapid.IntRange(0, 20).Draw(t, "assets") {
			a := anyAsset(t, fmt.Sprintf("%d-%02d", run, i))
			if _, err := s.Save(context.Background(), a); err != nil {
				t.Fatal(err)
			}
			all = append(all, a)
		}
		for range 5 {
			q := anyQuery(t)
			want := slices.DeleteFunc(slices.Clone(all), func(a media.Asset) bool { return !matches(a, q) })
			slices.SortFunc(want, order(q))
			if got := pages(t, s, q); !slices.Equal(got, ids(want)) {
				t.Fatalf("query %+v\ngot  %v\nwant %v", q, got, ids(want))
			}
		}
	})
}

type fataler interface {
	Helper()
	Fatal(args ...any)
}

func everything(t fataler, s *store.Store) []media.Asset {
	t.Helper()
	var all []media.Asset
	for _, state := range []media.AssetState{"", media.AssetDeleting} {
		page, err := s.Assets(context.Background(), media.AssetQuery{State: state})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Assets...)
	}
	return all
}

func ids(all []media.Asset) []string {
	names := []string{}
	for _, a := range all {
		names = append(names, a.ID)
	}
	return names
}

// pages reads a list to its end.
func pages(t fataler, s *store.Store, q media.AssetQuery) []string {
	t.Helper()
	all := []string{}
	for {
		page, err := s.Assets(context.Background(), q)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, ids(page.Assets)...)
		if q.After = page.Next; q.After == "" {
			return all
		}
	}
}

func pagesWhileGrowing(t *testing.T, s *store.Store) {
	random := rand.New(rand.NewPCG(1, 2))
	var want []string
	for i := range 60 {
		a := full(fmt.Sprintf("a%03d", i))
		a.Started = start.Add(time.Duration(random.IntN(5)) * time.Second)
		save(t, s, a)
		want = append(want, a.ID)
	}
	var got []string
	q := media.AssetQuery{Limit: 7}
	for i := 0; ; i++ {
		page, err := s.Assets(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ids(page.Assets)...)
		if q.After = page.Next; q.After == "" {
			break
		}
		late := full(fmt.Sprintf("b%03d", i)) // before all that were there
		late.Started = start.Add(-time.Hour)
		save(t, s, late)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("read %v", got)
	}
}

func foreignCursor(t *testing.T, s *store.Store) {
	save(t, s, full("a"))
	save(t, s, full("b"))
	page, err := s.Assets(t.Context(), media.AssetQuery{Order: media.ByTitle, Limit: 1})
	if err != nil || page.Next == "" {
		t.Fatal(page, err)
	}
	for _, q := range []media.AssetQuery{{After: page.Next}, {After: "x"}, {After: "!"}, {Order: "size"}} {
		if _, err := s.Assets(t.Context(), q); !errors.Is(err, media.ErrBadQuery) {
			t.Errorf("%+v: %v", q, err)
		}
	}
}
