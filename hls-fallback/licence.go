package hlsfallback

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"

	"github.com/sluice-live/sluice/hls-fallback/clearkey"
	"github.com/sluice-live/sluice/media"
)

var (
	typeJSON = []string{"application/json"}
	noStore  = []string{"no-store"}
)

// license answers a licence request of Clear Key for who may play.
func (s *Server) license(w *reply, r *http.Request, v *visit) error {
	g := s.guards[v.videos]
	if g == nil {
		return errMissing
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, clearkey.MaxRequest+1))
	if large := (*http.MaxBytesError)(nil); err != nil && !errors.As(err, &large) {
		return errAway
	}
	ids, err := clearkey.Parse(body)
	if err != nil {
		return badLicence(err)
	}
	keys, err := g.licences(r.Context(), v.name)
	if err != nil {
		return err
	}
	keys = ours(keys)
	if len(keys) == 0 {
		return errMissing // another system gives them
	}
	answer, err := clearkey.Licence(ids, keys)
	if errors.Is(err, clearkey.ErrUnknown) {
		return missing(err.Error())
	}
	if err != nil {
		return err
	}
	h := w.Header()
	h["Content-Type"] = typeJSON
	h["Cache-Control"] = noStore
	h["Content-Length"] = []string{strconv.Itoa(len(answer))}
	_, err = w.Write(answer)
	return away(err)
}

func badLicence(err error) *refusal {
	return &refusal{status: http.StatusBadRequest, word: "licence", title: "Bad licence request", detail: err.Error()}
}

// ours are the keys that Clear Key gives.
func ours(keys []*media.ContentKey) []*media.ContentKey {
	return slices.DeleteFunc(keys, func(k *media.ContentKey) bool {
		return !slices.ContainsFunc(k.Systems, func(s media.KeySystem) bool { return s.Format == clearkey.Format })
	})
}
