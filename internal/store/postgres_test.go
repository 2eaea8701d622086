//go:build integration

package store_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"github.com/sluice-live/sluice/internal/store"
	"github.com/sluice-live/sluice/internal/testnet"
)

// server starts a PostgreSQL of its own, on a socket in a temporary folder, and
// returns a function that makes an empty database in it.
func server(t testing.TB) (empty func() (url string)) {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		t.Fatal("PostgreSQL is needed: scripts/bring postgresql")
	}
	bin := filepath.Dir(found[len(found)-1])
	dir, err := os.MkdirTemp("", "pg") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	as := &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if os.Getuid() == 0 { // it refuses to run as root
		if as.Credential, err = postgresUser(dir); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(filepath.Join(bin, name), args...)
		cmd.SysProcAttr, cmd.Dir = as, dir
		return cmd
	}
	if out, err := run("initdb", "-D", data, "-U", "sluice", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := run("postgres", "-D", data, "-k", dir, "-c", "listen_addresses=")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGINT) // "fast shutdown"
		_ = cmd.Wait()
	})
	testnet.Eventually(t, "PostgreSQL answers", func() bool { return run("pg_isready", "-h", dir).Run() == nil })
	n := 0
	return func() string {
		n++
		name := fmt.Sprint("test", n)
		if out, err := run("createdb", "-h", dir, "-U", "sluice", name).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return "postgres://sluice@/" + name + "?host=" + dir
	}
}

// postgresUser is the account that the package makes; the folder becomes its.
func postgresUser(dir string) (*syscall.Credential, error) {
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, _ := strconv.Atoi(u.Uid) // numbers on every system that has this account
	gid, _ := strconv.Atoi(u.Gid)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, os.Chown(dir, uid, gid)
}

func TestPostgreSQL(t *testing.T) {
	empty := server(t)
	conform(t, func(t *testing.T) *store.Store { return postgres(t, empty()) })
}

func postgres(t testing.TB, url string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Nodes that start together on an empty database do not get in each other's way.
func TestNodesMigrateTogether(t *testing.T) {
	url := server(t)()
	errs := make(chan error)
	for range 4 {
		go func() {
			s, err := store.Open(context.Background(), url)
			if err == nil {
				err = s.Close()
			}
			errs <- err
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func BenchmarkLibraryPostgreSQL(b *testing.B) { benchmarkLibrary(b, postgres(b, server(b)())) }
