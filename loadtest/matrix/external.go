package matrix

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"
)

// external is a program that views and publishes for us; it speaks JSON lines
// as browser.mjs says.
type external struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	over chan struct{} // closed when it has ended
	err  error         // why; valid after over

	mu      sync.Mutex // guards what follows, and writes to in
	remotes map[string]*remote
	n       int
}

// remote is one viewer or publisher in the program.
type remote struct {
	e      *external
	id     string
	shown  chan struct{}
	failed chan error  // one at most
	told   chan Record // one at most
	once   sync.Once
}

// message is a line, in or out.
type message struct {
	Op     string  `json:"op,omitempty"`
	Event  string  `json:"event,omitempty"`
	ID     string  `json:"id,omitempty"`
	URL    string  `json:"url,omitempty"`
	Token  string  `json:"token,omitempty"`
	Layers int     `json:"layers,omitempty"`
	Error  string  `json:"error,omitempty"`
	Record *Record `json:"record,omitempty"`
}

// Patience with the program: a browser on a busy machine takes its time.
const (
	readyTimeout  = 30 * time.Second
	recordTimeout = 20 * time.Second
	maxLine       = 64 << 20 // a record of an hour
)

// launch starts the program and waits until it is ready.
func launch(ctx context.Context, command string) (*external, error) {
	words := strings.Fields(command)
	if len(words) == 0 {
		return nil, errors.New("start the browser: no command is given")
	}
	e := &external{cmd: exec.Command(words[0], words[1:]...), over: make(chan struct{}), remotes: map[string]*remote{}} //nolint:gosec,noctx // the caller names the program; close ends it
	e.cmd.Stderr = os.Stderr
	out, err := e.cmd.StdoutPipe()
	if err == nil {
		e.in, err = e.cmd.StdinPipe()
	}
	if err == nil {
		err = e.cmd.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("start the browser by %q: %w", command, err)
	}
	ready := make(chan struct{})
	go e.listen(out, ready) // ends with the program; close waits for over
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	select {
	case <-ready:
		return e, nil
	case <-e.over:
		return nil, fmt.Errorf("start the browser by %q: %w", command, e.err)
	case <-ctx.Done():
		return nil, errors.Join(fmt.Errorf("start the browser: %w", context.Cause(ctx)), e.close())
	}
}

// listen hands events to whom they are for.
func (e *external) listen(out io.Reader, ready chan struct{}) {
	s := bufio.NewScanner(out)
	s.Buffer(nil, maxLine)
	var once sync.Once
	for s.Scan() {
		var m message
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			continue // somebody else's chatter
		}
		if m.Event == "ready" {
			once.Do(func() { close(ready) })
			continue
		}
		e.mu.Lock()
		r := e.remotes[m.ID]
		e.mu.Unlock()
		if r != nil {
			r.take(m)
		}
	}
	e.err = errors.Join(s.Err(), e.cmd.Wait())
	if e.err == nil {
		e.err = errors.New("the browser's program has ended")
	}
	close(e.over)
}

func (r *remote) take(m message) {
	switch m.Event {
	case "first":
		r.once.Do(func() { close(r.shown) })
	case "failed":
		select {
		case r.failed <- errors.New(m.Error):
		default:
		}
	case "record":
		if m.Record == nil {
			return
		}
		slices.SortStableFunc(m.Record.Pictures, func(a, b Picture) int { return cmp(a.At, b.At) })
		select {
		case r.told <- *m.Record:
		default:
		}
	}
}

func (e *external) send(m message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("tell the browser: %w", err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, err := e.in.Write(append(b, '\n')); err != nil {
		return fmt.Errorf("tell the browser: %w", err)
	}
	return nil
}

// open begins a viewer or a publisher; m says which and where.
func (e *external) open(m message) (*remote, error) {
	e.mu.Lock()
	e.n++
	m.ID = fmt.Sprintf("%s-%d", m.Op, e.n)
	r := &remote{e: e, id: m.ID, shown: make(chan struct{}), failed: make(chan error, 1), told: make(chan Record, 1)}
	e.remotes[m.ID] = r
	e.mu.Unlock()
	return r, e.send(m)
}

func (r *remote) first() <-chan struct{} { return r.shown }

func (r *remote) stop(ctx context.Context) (Record, error) {
	defer func() {
		r.e.mu.Lock()
		defer r.e.mu.Unlock()
		delete(r.e.remotes, r.id)
	}()
	if err := r.e.send(message{Op: "stop", ID: r.id}); err != nil {
		return Record{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, recordTimeout)
	defer cancel()
	select {
	case record := <-r.told:
		select {
		case err := <-r.failed:
			record.Errors = append(record.Errors, err.Error())
		default:
		}
		return record, nil
	case <-r.e.over:
		return Record{}, fmt.Errorf("wait for the browser's record: %w", r.e.err)
	case <-ctx.Done():
		return Record{}, fmt.Errorf("wait for the browser's record: %w", context.Cause(ctx))
	}
}

// close ends the program: politely, and after a while by force.
func (e *external) close() error {
	_ = e.send(message{Op: "quit"}) // it may have ended
	_ = e.in.Close()
	t := time.NewTimer(recordTimeout)
	defer t.Stop()
	select {
	case <-e.over:
		return nil
	case <-t.C:
	}
	err := e.cmd.Process.Kill()
	<-e.over
	return err
}
