package main

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asMain makes the test's binary be sluice itself: signals are of a process.
const asMain = "RUN_SLUICE_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(asMain) != "" {
		main()
	}
	os.Exit(m.Run())
}

// process starts a server as a process of its own.
func process(t *testing.T) (*exec.Cmd, *node) {
	t.Helper()
	n := &node{log: &screen{}, out: &screen{}}
	cmd := exec.Command(os.Args[0], "serve", "--data", filepath.Join(t.TempDir(), "data"),
		"--http", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--media", "127.0.0.1:0")
	cmd.Env = append(os.Environ(), asMain+"=1", "SLUICE_LOG__FORMAT=json", `SLUICE_STREAMS=[{match: "*", public: true}]`, "SLUICE_JOIN=192.0.2.1:7946")
	cmd.Stdout, cmd.Stderr = n.out, n.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() }) // in case the test ends early
	eventually(t, "the process starts", n.find)
	return cmd, n
}

func TestFirstSignalEndsCleanly(t *testing.T) {
	t.Parallel()
	cmd, n := process(t)
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v:\n%s", err, n.log)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	cmd, n := process(t)
	offer, err := os.ReadFile("../../sfu/negotiate/testdata/offers/chromium-156-whep.offer.sdp")
	if err != nil {
		t.Fatal(err)
	}
	// A viewer that does not go keeps the first signal's shutdown for seconds.
	resp, body := ask(t, "POST", n.http+"/whep/live", string(offer), func(r *http.Request) {
		r.Header.Set("Content-Type", "application/sdp")
	})
	if resp.StatusCode != 201 {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the shutdown begins", func() bool { return strings.Contains(n.log.String(), "shutdown begun") })
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	// A process that ends at its leisure says so by another code.
	if got := cmd.ProcessState.ExitCode(); got != exitKilled {
		t.Errorf("the second signal did not end it: exit code %d, %v", got, err)
	}
}
