package upload

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// A quarter of the places, and at least two, are one owner's: the others are for others.
const (
	share    = 4
	minShare = 2
)

// Create opens an upload. The caller sets all but Part.
func (s *Store) Create(i Info) (Info, error) {
	if i.Size < 1 || i.Size > s.cfg.MaxSize {
		return i, fmt.Errorf("%w: at most %d bytes are taken, and at least one", ErrTooLarge, s.cfg.MaxSize)
	}
	i.Part = max(s.cfg.PartSize, (i.Size+maxParts-1)/maxParts)
	free, err := Free(s.cfg.Dir)
	if err != nil {
		return i, fmt.Errorf("open an upload: %w", err)
	}
	u := newState(i)
	u.opening = true
	if err := s.reserve(u, free); err != nil {
		return i, err
	}
	err = s.make(i)
	s.mu.Lock()
	defer s.mu.Unlock()
	u.opening = false
	if err != nil {
		delete(s.open, i.ID)
		return i, fmt.Errorf("open an upload: %w", err)
	}
	return i, nil
}

// reserve takes a place, and room on a disk that has so many bytes free.
func (s *Store) reserve(u *state, free int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	open, own, promised := 0, 0, int64(0)
	for _, o := range s.open {
		if o.done {
			continue
		}
		open++
		promised += o.info.Size - int64(len(o.parts))*o.info.Part
		if o.info.Owner == u.info.Owner {
			own++
		}
	}
	switch most := max(s.cfg.Active/share, minShare); {
	case s.open[u.info.ID] != nil:
		return fmt.Errorf("open an upload: there is one named %q", u.info.ID)
	case u.info.Owner != "" && own >= most:
		return fmt.Errorf("%w: %d", ErrShare, most)
	case open >= s.cfg.Active:
		return fmt.Errorf("%w: %d", ErrBusy, s.cfg.Active)
	case free-max(promised, 0)-s.cfg.Reserve < u.info.Size:
		return ErrNoSpace
	}
	s.open[u.info.ID] = u
	return nil
}

// make makes an upload's folder.
func (s *Store) make(i Info) error {
	b, err := json.Marshal(i)
	if err != nil {
		return err
	}
	dir := filepath.Join(s.cfg.Dir, i.ID)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err = errors.Join(writeSynced(filepath.Join(dir, infoName), b, s.sync), syncDir(s.cfg.Dir)); err != nil {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	return err
}

// Complete closes an upload whose parts are all there; again, it changes nothing.
func (s *Store) Complete(id string) (Info, error) {
	for {
		u, other, err := s.closes(id)
		switch {
		case u == nil:
			return Info{}, err
		case errors.Is(err, errDone):
			return u.info, nil
		case err != nil:
			return u.info, err
		case other != nil:
			<-other // somebody else completes it
			continue
		}
		dir := filepath.Join(s.cfg.Dir, id)
		err = errors.Join(writeSynced(filepath.Join(dir, doneName), nil, s.sync), syncDir(dir))
		err = s.release(u, func() error {
			close(u.closing)
			u.closing = nil
			switch {
			case u.gone:
				return ErrNotFound
			case err != nil:
				return fmt.Errorf("complete an upload: %w", err)
			}
			u.done = true
			return nil
		})
		return u.info, err
	}
}

var errDone = errors.New("the upload is complete")

// closes reserves an upload for who completes it. When somebody does that already,
// other is closed behind it.
func (s *Store) closes(id string) (u *state, other <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u, err = s.find(id)
	switch {
	case err != nil:
		return nil, nil, err
	case u.done:
		return u, nil, errDone
	case u.closing != nil:
		return u, u.closing, nil
	case len(u.writing) > 0:
		return u, nil, ErrTaken
	case len(u.parts) < u.info.Parts():
		return u, nil, fmt.Errorf("%w: %d of %d", ErrMissing, u.info.Parts()-len(u.parts), u.info.Parts())
	}
	u.closing = make(chan struct{})
	u.holders++
	return u, nil, nil
}

// Remove deletes an upload; none is no error. Parts that are on their way are taken to
// their end, and dropped with it.
func (s *Store) Remove(id string) error {
	s.mu.Lock()
	u, err := s.find(id)
	if err != nil {
		s.mu.Unlock()
		return nil //nolint:nilerr // there is nothing
	}
	u.gone = true
	delete(s.open, id)
	held := u.holders > 0
	s.mu.Unlock()
	dir := filepath.Join(s.cfg.Dir, id)
	if held { // the last one removes the rest; if we fall before that, the next start
		err = errors.Join(os.Remove(filepath.Join(dir, infoName)), syncDir(dir))
	} else {
		err = os.RemoveAll(dir)
	}
	if err != nil {
		return fmt.Errorf("remove an upload: %w", err)
	}
	return nil
}

// release lets go of an upload, with what is to be said of it under the lock.
func (s *Store) release(u *state, say func() error) error {
	s.mu.Lock()
	err := say()
	u.holders--
	last := u.gone && u.holders == 0
	s.mu.Unlock()
	if last {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.cfg.Dir, u.info.ID)))
	}
	return err
}

// Stale are the uploads that nobody has written to since a time and that are not
// complete.
func (s *Store) Stale(since time.Time) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for id, u := range s.open {
		if !u.done && !u.opening && u.last.Before(since) && u.holders == 0 {
			all = append(all, id)
		}
	}
	return all
}

// Done are the complete ones, which wait to become assets.
func (s *Store) Done() []Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Info
	for _, u := range s.open {
		if u.done {
			all = append(all, u.info)
		}
	}
	return all
}
