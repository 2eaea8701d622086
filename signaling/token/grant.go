package token

import (
	"slices"
	"time"

	"github.com/sluice-live/sluice/media"
)

// Action is what somebody wants to do.
type Action uint8

// The actions that need leave. Look asks only who the bearer is.
const (
	Look Action = iota
	Publish
	Play
	Admin
)

// Request asks whether the bearer of Token may do Action to Stream.
type Request struct {
	Action Action
	Stream media.StreamID // not looked at for Look and Admin
	Token  string
	// Expired accepts a token that was valid once: a session outlives its token.
	Expired bool
}

// Grant is what a token allows.
type Grant struct {
	Subject string // "key:<id>" or "token:<jti>"; empty for nobody in particular
	Publish []media.Pattern
	Play    []media.Pattern
	Admin   bool
	Expires time.Time // zero for stream keys
}

// MayPublish reports whether the grant covers publishing the stream.
func (g Grant) MayPublish(id media.StreamID) bool { return g.Admin || matches(g.Publish, id) }

// MayPlay reports whether the grant covers playing the stream.
func (g Grant) MayPlay(id media.StreamID) bool { return g.Admin || matches(g.Play, id) }

// Allows returns media.ErrForbidden when the grant does not cover the action.
func (g Grant) Allows(a Action, id media.StreamID) error {
	switch {
	case a == Look, a == Publish && g.MayPublish(id), a == Play && g.MayPlay(id), a == Admin && g.Admin:
		return nil
	}
	return media.ErrForbidden
}

func matches(patterns []media.Pattern, id media.StreamID) bool {
	return slices.ContainsFunc(patterns, func(p media.Pattern) bool { return p.Matches(id) })
}
