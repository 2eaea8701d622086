package loadtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Target is one server under test. With Run it is started anew for every
// scenario and round, so that nobody's memory is another's.
type Target struct {
	Name    string   `json:"name"`
	WHIP    string   `json:"whip"`              // endpoint, with {stream}
	WHEP    string   `json:"whep"`              // likewise
	Tokens  string   `json:"tokens,omitempty"`  // PREFIX of PREFIX_PUBLISH_TOKEN and PREFIX_VIEW_TOKEN in the environment
	Run     []string `json:"run,omitempty"`     // program and arguments; without, the server runs already
	Env     []string `json:"env,omitempty"`     // NAME=value, beside this process's own
	Dir     string   `json:"dir,omitempty"`     // where it runs
	Log     string   `json:"log,omitempty"`     // where its output goes; nowhere without
	PID     int      `json:"pid,omitempty"`     // of a server that runs already, for CPU and memory
	Metrics string   `json:"metrics,omitempty"` // Prometheus metrics of a Go server, for goroutines and heap
}

// How long a server may take to listen, and to end.
const (
	listenTimeout = 15 * time.Second
	endTimeout    = 10 * time.Second
)

func readTargets(path string) ([]Target, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the targets: %w", err)
	}
	var out []Target
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("read the targets of %s: %w", path, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read the targets of %s: there are none", path)
	}
	for _, t := range out {
		if t.Name == "" || t.WHIP == "" || t.WHEP == "" {
			return nil, fmt.Errorf("read the targets of %s: name, whip and whep are needed, this has not all: %+v", path, t)
		}
	}
	return out, nil
}

// start runs the target's program, if it has one, and waits until it listens.
func (t Target) start(ctx context.Context) (running Target, end func() error, err error) {
	if len(t.Run) == 0 {
		return t, func() error { return nil }, nil
	}
	cmd := exec.Command(t.Run[0], t.Run[1:]...) //nolint:gosec,noctx // the caller's own program; end ends it
	cmd.Dir, cmd.Env = t.Dir, append(os.Environ(), t.Env...)
	if t.Log != "" {
		f, err := os.OpenFile(t.Log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return t, nil, fmt.Errorf("start %s: %w", t.Name, err)
		}
		defer func() { _ = f.Close() }() // the program has its own
		cmd.Stdout, cmd.Stderr = f, f
	}
	if err := cmd.Start(); err != nil {
		return t, nil, fmt.Errorf("start %s: %w", t.Name, err)
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }() // end waits for it
	t.PID = cmd.Process.Pid
	end = func() error { return finish(cmd, over) }
	if err := t.listens(ctx, over); err != nil {
		return t, nil, errors.Join(err, end())
	}
	return t, end, nil
}

// finish ends a program politely, then not.
func finish(cmd *exec.Cmd, over chan error) error {
	_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	timer := time.NewTimer(endTimeout)
	defer timer.Stop()
	select {
	case <-over: // how it ended says nothing of what was measured
		return nil
	case <-timer.C:
		_ = cmd.Process.Kill()
		<-over
		return nil
	}
}

// listens waits until something takes connections at the WHIP endpoint.
func (t Target) listens(ctx context.Context, over chan error) error {
	u, err := url.Parse(t.WHIP)
	if err != nil {
		return fmt.Errorf("start %s: %w", t.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, listenTimeout)
	defer cancel()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.Host)
		if err == nil {
			return conn.Close()
		}
		select {
		case err := <-over:
			over <- err // finish takes it again
			return fmt.Errorf("start %s: it ended at once: %w", t.Name, err)
		default:
		}
		if err := pause(ctx, 50*time.Millisecond); err != nil {
			return fmt.Errorf("start %s: nothing listens at %s", t.Name, u.Host)
		}
	}
}

func (t Target) token(which string) string {
	if t.Tokens == "" {
		return ""
	}
	return os.Getenv(t.Tokens + "_" + which + "_TOKEN")
}
