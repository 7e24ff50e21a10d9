package redis

import (
	"context"
	"crypto/sha1" //nolint:gosec // the server names scripts by it
	"embed"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/vedettehq/vedette"
)

//go:embed lua/*.lua
var files embed.FS

// A script is one call that the server carries out whole, while nobody else is served.
type script struct {
	text, sha string
	writes    bool
}

// What a script may do beside reading.
const (
	reads = "no-writes" // nothing
	frees = "allow-oom" // write, also when the memory that the server may take is full
	fills = ""          // write unless it is
)

// scripts returns them all, by their names. Those that end work go on when the memory is full, so that
// it can be freed.
func scripts() map[string]*script {
	all := map[string]*script{"count": newScript(reads, "base lanes queues")}
	for flags, kinds := range map[string]map[string][]string{
		reads: {
			"":           {"page", "last", "things", "changes"},
			"lanes jobs": {"get", "list", "due"},
		},
		frees: {
			"":               {"acquire", "release"},
			"lanes":          {"queues", "pause"},
			"lanes jobs":     {"claim", "finish", "beat", "rescue", "retire", "cancel"},
			"lanes jobs add": {"drain"},
		},
		fills: {
			"":               {"append", "kv", "registry", "stage", "commit"},
			"lanes jobs add": {"push", "fire"},
		},
	} {
		for shared, names := range kinds {
			for _, name := range names {
				all[name] = newScript(flags, "base "+shared+" "+name)
			}
		}
	}
	return all
}

func newScript(flags, parts string) *script {
	var b strings.Builder
	b.WriteString("#!lua flags=" + flags + "\n")
	for part := range strings.FieldsSeq(parts) {
		text, err := files.ReadFile("lua/" + part + ".lua")
		if err != nil {
			panic(err) // it is part of the program
		}
		b.Write(text)
	}
	sum := sha1.Sum([]byte(b.String())) //nolint:gosec // the server names scripts by it
	return &script{text: b.String(), sha: hex.EncodeToString(sum[:]), writes: flags != reads}
}

// call runs a script. What is written is all written, or nothing.
func (s *Store) call(ctx context.Context, name string, args ...any) (any, error) {
	sc := s.scripts[name]
	if sc.writes && s.readOnly {
		return nil, vedette.ErrReadOnly
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	keys := []string{s.prefix}
	args = append(slices.Clip(args), s.wakes.me, s.wakes.lately()) // args may be a part of more
	got, err := s.db.EvalSha(ctx, sc.sha, keys, args...).Result()
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		got, err = s.db.Eval(ctx, sc.text, keys, args...).Result()
	}
	return got, failed(err)
}

// failed returns the error of a script as its callers' callers know it.
func failed(err error) error {
	switch {
	case redis.HasErrorPrefix(err, "LEASELOST"):
		return vedette.ErrLeaseLost
	case redis.HasErrorPrefix(err, "CONFLICT"):
		return vedette.ErrConflict
	case redis.HasErrorPrefix(err, "OOM"):
		return fmt.Errorf("the server's maxmemory is reached, nothing was written: %w", err)
	}
	return err
}

// An answer reads what a script returned, value after value. A wrong shape leaves an error.
type answer struct {
	rest []any
	err  error
}

func answerOf(got any) *answer {
	list, ok := got.([]any)
	if !ok {
		return &answer{err: fmt.Errorf("script answered %T, want a list", got)}
	}
	return &answer{rest: list}
}

func next[T any](a *answer) (v T) {
	if len(a.rest) == 0 {
		if a.err == nil {
			a.err = fmt.Errorf("script answered too little, want %T", v)
		}
		return v
	}
	v, ok := a.rest[0].(T)
	if a.rest = a.rest[1:]; !ok && a.err == nil {
		a.err = fmt.Errorf("script answered %T, want %T", a.rest, v)
	}
	return v
}

func (a *answer) text() string { return next[string](a) }

func (a *answer) int() int64 { return next[int64](a) }

func (a *answer) list() *answer { return &answer{rest: next[[]any](a), err: a.err} }

func (a *answer) more() bool { return len(a.rest) > 0 && a.err == nil }

// texts reads a list of strings.
func (a *answer) texts() []string {
	list := a.list()
	all := make([]string, 0, len(list.rest))
	for list.more() {
		all = append(all, list.text())
	}
	a.fail(list.err)
	return all
}

func (a *answer) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}
