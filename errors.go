package vedette

import (
	"errors"
	"fmt"
	"strings"
)

// Conditions that callers act on. Each contract method says which it reports; test with
// errors.Is.
var (
	// ErrNotFound: there is no such thing.
	ErrNotFound = errors.New("not found")
	// ErrReadOnly: the thing is owned by a file, or the store was opened for reading.
	ErrReadOnly = errors.New("read-only")
	// ErrConflict: the thing changed since it was read. Read again, decide again.
	ErrConflict = errors.New("changed meanwhile")
	// ErrExists: one lives already, and there may be no second.
	ErrExists = errors.New("exists already")
	// ErrLeaseLost: the lease, or the claim that its token stands for, is another's now.
	ErrLeaseLost = errors.New("lease lost")
	// ErrRefused: this data will never be taken. Do not repeat it.
	ErrRefused = errors.New("refused")
	// ErrInUse: another process owns the store.
	ErrInUse = errors.New("in use")
)

// A Mistake is one thing wrong with what a person wrote.
type Mistake struct {
	// Path names the key, from the monitor or file inwards: "request.method", "expect[1]".
	// Empty means the thing as a whole.
	Path string
	// Offset is where in the key's text the mistake is, in bytes; 0 is its start.
	Offset int
	// Text says what is wrong.
	Text string
	// Fix says what would be right, as a question or an instruction; may be empty.
	Fix string
	// Warning marks what is allowed but is probably not meant.
	Warning bool
}

func (m Mistake) String() string {
	text := m.Text
	if m.Path != "" {
		text = m.Path + ": " + text
	}
	if m.Fix != "" {
		text = fmt.Sprintf("%s (%s)", text, m.Fix)
	}
	return text
}

// Mistakes is all that is wrong with something, in the order of its keys. As an error it reads
// one mistake a line.
type Mistakes []Mistake

func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, one := range m {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns m as an error, or nil if it holds nothing but warnings.
func (m Mistakes) Err() error {
	for _, one := range m {
		if !one.Warning {
			return m
		}
	}
	return nil
}
