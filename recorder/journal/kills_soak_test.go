//go:build soak

package journal_test

// kills is how often the recording is killed.
const kills = 200
