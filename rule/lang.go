// Package rule evaluates typed expressions, as "status == 200 and total < '2s'", over the
// facts that a caller collected. It is expr-lang/expr cut down to a language in which nothing
// panics, hangs or grows without bound, whoever wrote the facts: only a few builtins, constant
// patterns, a budget for loops. Durations compare with strings that have a unit.
package rule

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"weak"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// An Error is a mistake in the text of an expression.
type Error struct {
	Offset int    // where, in bytes
	Text   string // what is wrong
	Fix    string // what would be right; may be empty
}

func (e *Error) Error() string {
	if e.Fix == "" {
		return e.Text
	}
	return e.Text + " (" + e.Fix + ")"
}

// Facts is what expressions are about: a pointer to a struct that embeds a [Meter]. The tag
// `expr:"name"` names a field; a field of function type is a function.
type Facts interface{ meter() *Meter }

// A Config says what a [Lang] knows.
type Config struct {
	// Facts is a sample: its type matters, not its values.
	Facts Facts
	// Elsewhere holds the names among the facts that this language lacks, and what knows
	// them instead, as "https and tls".
	Elsewhere map[string]string
	// Args checks the argument of functions that take one constant string.
	Args map[string]func(arg string) error
}

// A Lang is a language of expressions. It is safe for concurrent use.
type Lang struct {
	conf  Config
	names []string

	mu    sync.Mutex
	rules map[string]weak.Pointer[Rule]
	vms   sync.Pool
}

// New returns the language that c describes.
func New(c Config) *Lang {
	l := &Lang{conf: c, rules: map[string]weak.Pointer[Rule]{}}
	l.vms.New = func() any { return &vm.VM{MemoryBudget: maxMemory} }
	for _, name := range fieldNames(reflect.TypeOf(c.Facts)) {
		if _, hidden := c.Elsewhere[name]; !hidden {
			l.names = append(l.names, name)
		}
	}
	return l
}

// The bounds of one expression.
const (
	maxSource = 4096 // bytes of its text
	maxNodes  = 200  // of its tree
	maxMemory = 1e5  // elements that it may make
)

// Compile returns the rule that src states, or an [*Error]. Rules with the same text are one,
// for as long as somebody holds it.
func (l *Lang) Compile(src string) (*Rule, error) {
	l.mu.Lock()
	r := l.rules[src].Value()
	l.mu.Unlock()
	if r != nil {
		return r, nil
	}
	r, err := l.compile(src)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if other := l.rules[src].Value(); other != nil {
		return other, nil
	}
	l.rules[src] = weak.Make(r)
	runtime.AddCleanup(r, l.forget, src)
	return r, nil
}

func (l *Lang) forget(src string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rules[src].Value() == nil {
		delete(l.rules, src)
	}
}

func (l *Lang) compile(src string) (*Rule, error) {
	if strings.TrimSpace(src) == "" {
		return nil, &Error{Text: "the expression is empty"}
	}
	p := &patch{lang: l, src: src}
	program, err := l.program(src, p)
	if err != nil {
		return nil, err
	}
	if t := program.Node().Type(); t.Kind() != reflect.Bool && t.Kind() != reflect.Interface {
		return nil, &Error{Text: fmt.Sprintf("this gives %s, want true or false", t), Fix: "compare it with something"}
	}
	return &Rule{lang: l, src: src, uses: p.uses, program: program}, nil
}

// program compiles src, which p may change and reject.
func (l *Lang) program(src string, p *patch) (program *vm.Program, err error) {
	if len(src) > maxSource {
		return nil, &Error{Offset: maxSource, Text: fmt.Sprintf("the expression is longer than %d bytes", maxSource)}
	}
	defer func() {
		if r := recover(); r != nil {
			program, err = nil, &Error{Text: fmt.Sprintf("cannot compile this: %v", r)}
		}
	}()
	program, err = expr.Compile(src, append(l.options(), expr.Patch(p))...)
	if p.mistake != nil {
		return nil, p.mistake
	}
	if err != nil {
		return nil, l.teach(src, err)
	}
	return program, nil
}

// teach turns an error of expr into one of ours.
func (l *Lang) teach(src string, err error) *Error {
	text := err.Error()
	e := &Error{Text: text}
	if at, ok := errors.AsType[*file.Error](err); ok {
		e.Text, e.Offset = at.Message, byteOffset(src, at.From)
	}
	if name, ok := strings.CutPrefix(e.Text, "unknown name "); ok {
		e.Fix = DidYouMean(name, append(l.names, builtins()...))
	}
	if _, field, ok := strings.Cut(e.Text, " has no field "); ok {
		e.Text = "there is no " + field
		e.Fix = DidYouMean(field, fieldsBefore(reflect.TypeOf(l.conf.Facts), src, e.Offset))
	}
	return e
}

// byteOffset converts expr's offset, in runes.
func byteOffset(src string, runes int) int {
	for i := range src {
		if runes == 0 {
			return i
		}
		runes--
	}
	return len(src)
}
