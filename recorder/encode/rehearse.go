package encode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/sluice-live/sluice/media"
)

// rehearsal is how long one picture may take.
const rehearsal = 20 * time.Second

// Rehearse encodes one black picture, and returns the format that a Line of pictures
// will have: a rendition can be listed before anybody wants it.
func Rehearse(ctx context.Context, c Config) (*media.Format, error) {
	ctx, cancel := context.WithTimeout(ctx, rehearsal)
	defer cancel()
	p := c.Profile
	args := append([]string{"-hide_banner", "-loglevel", "error", "-threads", "1", "-f", "rawvideo", "-pix_fmt", "yuv420p",
		"-video_size", fmt.Sprintf("%dx%d", p.Width, p.Height), "-framerate", "30", "-i", "pipe:0", "-vf", "setsar=1"}, codec(c)...)
	cmd := exec.CommandContext(ctx, c.Program, append(args, container()...)...) //nolint:gosec // the program is configured, the arguments are ours
	words := &tail{}
	cmd.Stdin, cmd.Stderr = bytes.NewReader(make([]byte, p.Width*p.Height*3/2)), words
	out, err := cmd.Output()
	switch {
	case errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%w (%s)", ErrMissing, c.Program)
	case err != nil:
		return nil, &exitError{err, words.String()}
	}
	in := bytes.NewReader(out)
	if err := readHead(in); err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	for {
		t, err := readTag(in)
		if err != nil {
			return nil, fmt.Errorf("rehearse: %w", err)
		}
		if t.config && !t.audio {
			return avcFormat(t.data)
		}
	}
}
