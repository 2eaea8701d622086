package journal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// UploadedName is the file that lists the volumes which a blob store holds, one
// JSON object in a line. It belongs to who uploads; the journal reads it, so that
// a volume that is elsewhere is not taken for one that is lost.
const UploadedName = "uploaded"

// Upload is a volume that was put into a blob store, read back and found right.
type Upload struct {
	Rendition string `json:"rendition"`
	Volume    uint32 `json:"volume"`
	Size      int64  `json:"size"`   // bytes
	CRC32C    uint32 `json:"crc32c"` // of all of it
	MD5       string `json:"md5"`    // hex
}

// Name returns the volume's name beneath the incarnation's folder.
func (u Upload) Name() string { return VolumeName(u.Rendition, u.Volume) }

// Uploaded reads which volumes are elsewhere, by name. A line that is torn does
// not count: that volume is uploaded again.
func Uploaded(dir string) (map[string]Upload, error) {
	b, err := os.ReadFile(filepath.Join(dir, UploadedName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read what is uploaded: %w", err)
	}
	out := map[string]Upload{}
	lines := bufio.NewScanner(bytes.NewReader(b))
	for lines.Scan() {
		var u Upload
		if json.Unmarshal(lines.Bytes(), &u) == nil && ValidName(u.Rendition) && u.Size > 0 {
			out[u.Name()] = u
		}
	}
	return out, nil
}

// MarkUploaded adds a volume to the list. When it returns, that is on disk.
func MarkUploaded(dir string, u Upload) error {
	line, err := json.Marshal(u)
	if err != nil {
		return fmt.Errorf("write what is uploaded: %w", err)
	}
	f, err := os.OpenFile(filepath.Join(dir, UploadedName), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("write what is uploaded: %w", err)
	}
	// A line of its own, whatever a crash left of the one before.
	_, err = f.Write(append(append([]byte{'\n'}, line...), '\n'))
	err = errors.Join(err, f.Sync(), f.Close(), machine{}.SyncDir(dir))
	if err != nil {
		return fmt.Errorf("write what is uploaded: %w", err)
	}
	return nil
}
