package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/sluice-live/sluice/internal/store"
	"github.com/sluice-live/sluice/media"
)

// library is how many assets the benchmark has: 100 000 recordings of an hour are
// what the requirement calls a large library.
const library = 100_000

// fill writes the library: 500 streams, words whose frequencies fall like those of
// a language, 30 genres.
func fill(b *testing.B, s *store.Store) {
	b.Helper()
	random := rand.New(rand.NewPCG(1, 1))
	frequencies := rand.NewZipf(random, 1.2, 3, 20_000)
	word := func() string { return fmt.Sprintf("w%d", frequencies.Uint64()) }
	all := make([]media.Asset, library)
	for i := range all {
		a := full(fmt.Sprintf("t%06d000000000", i))
		a.Stream = media.StreamID(fmt.Sprintf("school%d.class%d", i%50, i%500))
		a.Title = fmt.Sprintf("%s %s %s lesson %d", word(), word(), word(), i)
		a.Description = word() + " " + word() + " " + word() + " " + word()
		a.Labels = []string{fmt.Sprintf("genre%d", random.IntN(30))}
		a.Public = i%10 == 0
		a.Started = start.Add(-time.Duration(random.IntN(1e6)) * time.Minute)
		a.Ended, a.Duration, a.Views = a.Started.Add(time.Hour), time.Duration(random.IntN(7200))*time.Second, int64(frequencies.Uint64())
		all[i] = a
	}
	if err := s.SaveAll(context.Background(), all); err != nil {
		b.Fatal(err)
	}
}

// questions are what people ask, drawn anew each time.
func questions(random *rand.Rand) map[string]media.AssetQuery {
	frequencies := rand.NewZipf(random, 1.2, 3, 20_000)
	word := func() string { return fmt.Sprintf("w%d", frequencies.Uint64()) }
	orders := []media.AssetOrder{media.ByStarted, media.ByTitle, media.ByDuration, media.ByViews}
	any := func(q media.AssetQuery) media.AssetQuery {
		q.Order, q.Reverse, q.Limit = orders[random.IntN(len(orders))], random.IntN(2) == 0, 50
		return q
	}
	class := media.StreamID(fmt.Sprintf("school%d.class%d", random.IntN(50), random.IntN(500)))
	return map[string]media.AssetQuery{
		"newest":         {Order: media.ByStarted, Reverse: true, Limit: 50},
		"all":            any(media.AssetQuery{}),
		"word":           any(media.AssetQuery{Words: []string{word()}}),
		"two words":      any(media.AssetQuery{Words: []string{word(), word()}}),
		"as one types":   any(media.AssetQuery{Words: []string{"w1"}}),
		"title":          any(media.AssetQuery{Words: []string{"lesson", fmt.Sprint(random.IntN(library))}}),
		"genre":          any(media.AssetQuery{Label: fmt.Sprint("genre", random.IntN(30))}),
		"genre and word": any(media.AssetQuery{Label: fmt.Sprint("genre", random.IntN(30)), Words: []string{word()}}),
		"stream":         any(media.AssetQuery{Stream: class}),
		"ready":          any(media.AssetQuery{State: media.AssetReady}),
		"recording":      any(media.AssetQuery{State: media.AssetRecording}),
		"narrow token":   any(media.AssetQuery{Streams: []media.Pattern{media.Pattern(class)}}),
		"school's token": any(media.AssetQuery{Streams: []media.Pattern{"school7.*"}, OrPublic: true, Words: []string{word()}}),
		"no token":       any(media.AssetQuery{Streams: []media.Pattern{}, OrPublic: true}),
		"nothing found":  any(media.AssetQuery{Words: []string{"nothing"}}),
	}
}

func benchmarkLibrary(b *testing.B, s *store.Store) {
	fill(b, s)
	random := rand.New(rand.NewPCG(2, 2))
	all := map[string][]time.Duration{}
	for b.Loop() {
		for name, q := range questions(random) {
			// The first page, and one deep inside.
			for range 2 {
				began := time.Now()
				page, err := s.Assets(b.Context(), q)
				if err != nil {
					b.Fatal(err)
				}
				all[name] = append(all[name], time.Since(began))
				if q.After = page.Next; q.After == "" {
					break
				}
			}
		}
	}
	var every []time.Duration
	for name, took := range all {
		slices.Sort(took)
		b.Logf("%-16s p50 %8v  p95 %8v  max %8v", name, took[len(took)/2].Round(time.Microsecond*10), took[len(took)*95/100].Round(time.Microsecond*10), took[len(took)-1].Round(time.Microsecond*10))
		every = append(every, took...)
	}
	slices.Sort(every)
	b.ReportMetric(float64(every[len(every)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(every[len(every)*95/100].Microseconds())/1000, "p95-ms")
}

func BenchmarkLibrarySQLite(b *testing.B) {
	s, err := store.Open(context.Background(), filepath.Join(b.TempDir(), "sluice.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	benchmarkLibrary(b, s)
}
