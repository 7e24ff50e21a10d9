package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vedettehq/vedette/internal/expand"
)

// A Secret says where a value comes from, and never prints it. The zero Secret is no value.
type Secret struct {
	// Text is the value. It may hold ${NAME}, ${NAME:-default} and ${NAME:?message}, which are
	// looked up when the value is used; $$ is one dollar sign.
	Text string
	// File names the file that holds the value, read again when it changes. A newline at its
	// end does not belong to the value.
	File string
}

const masked = "***"

// IsZero reports whether no value was given.
func (s Secret) IsZero() bool { return s == Secret{} }

// String hides the value.
func (Secret) String() string { return masked }

// GoString hides the value from %#v.
func (Secret) GoString() string { return masked }

// Format hides the value from every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(masked)) }

// LogValue hides the value from logs.
func (Secret) LogValue() slog.Value { return slog.StringValue(masked) }

type secretFile struct {
	File string `json:"file"`
}

// MarshalJSON writes what the file said: a string, or {"file": PATH}. It is for keeping, not
// for showing.
func (s Secret) MarshalJSON() ([]byte, error) {
	if s.File != "" {
		return json.Marshal(secretFile{s.File})
	}
	return json.Marshal(s.Text)
}

// UnmarshalJSON reads a string or {"file": PATH}.
func (s *Secret) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*s = Secret{}
		return json.Unmarshal(b, &s.Text)
	}
	var f secretFile
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil || f.File == "" {
		return errors.New("a secret is a string, ${ENV}, or {file: PATH}")
	}
	*s = Secret{File: f.File}
	return nil
}

// files keeps the content of small files until their stat changes.
type files struct {
	mu   sync.Mutex
	kept map[string]file
}

type file struct {
	mod  time.Time
	size int64
	text string
}

// maxFile bounds what a secret or body file may hold.
const maxFile = 1 << 20

// read returns the content of the file at path.
func (f *files) read(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return "", fmt.Errorf("%s: want a file of at most %d bytes", path, maxFile)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if got, ok := f.kept[path]; ok && got.size == info.Size() && got.mod.Equal(info.ModTime()) {
		return got.text, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	if f.kept == nil {
		f.kept = map[string]file{}
	}
	f.kept[path] = file{info.ModTime(), info.Size(), string(b)}
	return string(b), nil
}

// secrets turns a Secret into its value.
type secrets struct {
	files
	env func(string) (string, bool)
}

// value returns what s stands for now.
func (v *secrets) value(s Secret) (string, error) {
	if s.File != "" {
		text, err := v.read(s.File)
		if err != nil {
			return "", fmt.Errorf("read secret: %w", err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), nil
	}
	if !strings.Contains(s.Text, "$") {
		return s.Text, nil
	}
	text, err := expand.Text(s.Text, v.env)
	if _, malformed := errors.AsType[*expand.FormError](err); malformed {
		err = errors.New(expand.NoForm) // without the text
	}
	return text, err
}
