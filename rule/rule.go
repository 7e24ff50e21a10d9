package rule

import (
	"fmt"
	"slices"
	"sync"

	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// A Rule is a compiled expression. It is safe for concurrent use.
type Rule struct {
	lang    *Lang
	src     string
	uses    []string
	program *vm.Program

	once     sync.Once
	operands []operand
}

// String returns the text of the rule.
func (r *Rule) String() string { return r.src }

// Uses reports whether name occurs in the rule.
func (r *Rule) Uses(name string) bool { return slices.Contains(r.uses, name) }

// Eval says whether the rule holds. An error says why that cannot be told, as a value of the
// wrong type; it wraps that of the function which reported it.
func (r *Rule) Eval(f Facts) (bool, error) {
	got, err := r.lang.run(r.program, f)
	if err != nil {
		return false, err
	}
	holds, ok := got.(bool)
	if !ok {
		return false, fmt.Errorf("%s is %s, want true or false", r.src, show(got))
	}
	return holds, nil
}

func (l *Lang) run(program *vm.Program, f Facts) (any, error) {
	f.meter().left = budget
	machine := l.vms.Get().(*vm.VM)
	defer l.release(machine)
	got, err := machine.Run(program, f)
	if err != nil {
		return nil, plain(err)
	}
	return got, nil
}

// release returns a machine without the values that it would keep alive.
func (l *Lang) release(machine *vm.VM) {
	clear(machine.Stack[:cap(machine.Stack)])
	clear(machine.Variables)
	if cap(machine.Stack) > 1024 {
		machine.Stack = nil
	}
	l.vms.Put(machine)
}

// plain takes expr's picture of the source off an error.
func plain(err error) error {
	at, ok := err.(*file.Error) //nolint:errorlint // the outermost is meant
	if !ok {
		return err
	}
	if at.Prev != nil {
		return at.Prev
	}
	return &evalError{at.Message}
}

type evalError struct{ text string }

func (e *evalError) Error() string { return e.text }
