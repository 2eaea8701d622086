package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/sluice-live/sluice/media"
	"github.com/sluice-live/sluice/signaling/token"
)

// maxTTL bounds a token's life: what should last longer is a stream key, which
// can be revoked.
const maxTTL = 10 * 365 * 24 * time.Hour

// tokenCmd signs a token with the node's key.
type tokenCmd struct {
	placeFlags
	Publish []media.Pattern `name:"publish" placeholder:"PATTERN" help:"Streams that may be published: a name, or a beginning and '*'. May be repeated."`
	Play    []media.Pattern `name:"play" placeholder:"PATTERN" help:"Streams that may be played. May be repeated."`
	Admin   bool            `name:"admin" help:"May do everything."`
	TTL     time.Duration   `name:"ttl" default:"1h" help:"How long the token counts."`
}

// Run prints one token on standard output.
func (c *tokenCmd) Run(term terminal) error {
	if len(c.Publish)+len(c.Play) == 0 && !c.Admin {
		return errors.New("a token that allows nothing: say --publish PATTERN, --play PATTERN or --admin")
	}
	if c.TTL <= 0 || c.TTL > maxTTL {
		return fmt.Errorf("--ttl %v: it must be more than 0 and at most ten years", c.TTL)
	}
	cfg, err := c.load(term, c.given())
	if err != nil {
		return err
	}
	tokens, err := openTokens(cfg.Data)
	if err != nil {
		return err
	}
	text, err := tokens.Issue(token.Claims{Publish: c.Publish, Play: c.Play, Admin: c.Admin}, c.TTL)
	if err != nil {
		return err
	}
	fmt.Fprintln(term.out, text)
	return nil
}

// openTokens opens the secrets of a data directory, for commands beside the server.
func openTokens(dir string) (*token.Tokens, error) {
	cfg := token.DefaultConfig()
	cfg.Dir = dir
	tokens, err := token.Open(cfg)
	return tokens, explainData(dir, err)
}

// keyCmd manages stream keys. A running server notices within a second.
type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Make a stream key and print it; it is shown this once."`
	List   keyListCmd   `cmd:"" help:"List stream keys, without their secrets."`
	Revoke keyRevokeCmd `cmd:"" help:"Make stream keys worthless; sessions that they began end."`
}

type keyCreateCmd struct {
	placeFlags
	Publish []media.Pattern `name:"publish" required:"" placeholder:"PATTERN" help:"Streams that may be published: a name, or a beginning and '*'. May be repeated."`
}

// Run prints the key on standard output and its name beside it.
func (c *keyCreateCmd) Run(term terminal) error {
	keys, err := c.open(term)
	if err != nil {
		return err
	}
	key, secret, err := keys.Create(c.Publish)
	if err != nil {
		return err
	}
	fmt.Fprintln(term.out, secret)
	fmt.Fprintf(term.err, "stream key %s for %s; it is not shown again\n", key.ID, patterns(key.Publish))
	return nil
}

type keyListCmd struct {
	placeFlags
	Publish media.Pattern `name:"publish" placeholder:"PATTERN" help:"Only keys made for this pattern."`
}

// Run prints a table.
func (c *keyListCmd) Run(term terminal) error {
	keys, err := c.open(term)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(term.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tPUBLISH\tCREATED\tREVOKED")
	for _, key := range keys.List() {
		if c.Publish != "" && !slices.Contains(key.Publish, c.Publish) {
			continue
		}
		revoked := "-"
		if !key.Revoked.IsZero() {
			revoked = key.Revoked.Format(time.DateTime)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", key.ID, patterns(key.Publish), key.Created.Format(time.DateTime), revoked)
	}
	return table.Flush()
}

type keyRevokeCmd struct {
	placeFlags
	ID      []string      `arg:"" optional:"" help:"Keys to revoke, as 'sluice key list' names them."`
	Publish media.Pattern `name:"publish" placeholder:"PATTERN" help:"Revoke all keys made for this pattern."`
}

// Run revokes and says which.
func (c *keyRevokeCmd) Run(term terminal) error {
	if len(c.ID) == 0 && c.Publish == "" {
		return errors.New("name the key to revoke, or --publish PATTERN; 'sluice key list' shows them")
	}
	keys, err := c.open(term)
	if err != nil {
		return err
	}
	ids := slices.Clone(c.ID)
	for _, key := range keys.List() {
		if c.Publish != "" && slices.Contains(key.Publish, c.Publish) && key.Revoked.IsZero() {
			ids = append(ids, key.ID)
		}
	}
	if len(ids) == 0 {
		return fmt.Errorf("no stream key in use was made for %s", c.Publish)
	}
	for _, id := range ids {
		if err := keys.Revoke(id); err != nil {
			return err
		}
		fmt.Fprintln(term.out, "revoked", id)
	}
	return nil
}

// open opens the keys alone; the signing key stays closed.
func (f placeFlags) open(term terminal) (*token.Keys, error) {
	cfg, err := f.load(term, f.given())
	if err != nil {
		return nil, err
	}
	if err := makeData(cfg.Data); err != nil {
		return nil, err
	}
	keys, err := token.OpenKeys(filepath.Join(cfg.Data, "keys.json"))
	return keys, explainData(cfg.Data, err)
}

func patterns(list []media.Pattern) string {
	names := make([]string, len(list))
	for i, p := range list {
		names[i] = string(p)
	}
	return strings.Join(names, ",")
}
