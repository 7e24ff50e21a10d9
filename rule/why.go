package rule

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// maxOperands bounds how many values Why shows.
const maxOperands = 5

// An operand is a part of a rule whose value explains the outcome.
type operand struct {
	text    string
	program *vm.Program
}

// Why shows the values of the operands that occur in the rule, as `total = 3.2s, status =
// 200`, each cut at 80 characters after mask has hidden what must not be shown; mask may be
// nil.
func (r *Rule) Why(f Facts, mask func(string) string) string {
	r.once.Do(r.findOperands)
	var parts []string
	for _, o := range r.operands {
		got, err := r.lang.run(o.program, f)
		if err != nil {
			continue
		}
		text := show(got)
		if mask != nil {
			text = mask(text)
		}
		parts = append(parts, o.text+" = "+cut(text, 80))
	}
	return strings.Join(parts, ", ")
}

// findOperands parses the rule again, since compiling has changed its tree.
func (r *Rule) findOperands() {
	c := conf.CreateNew()
	for _, option := range r.lang.options() {
		option(c)
	}
	tree, err := parser.ParseWithConfig(r.src, c)
	if err != nil {
		return
	}
	for _, text := range collect(nil, tree.Node) {
		program, err := r.lang.program(text, &patch{lang: r.lang, src: text})
		if err == nil && len(r.operands) < maxOperands {
			r.operands = append(r.operands, operand{text, program})
		}
	}
}

// collect appends the texts of the operands in n: names, paths and calls, not what compares
// and joins them.
func collect(texts []string, n ast.Node) []string {
	switch n := n.(type) {
	case *ast.BinaryNode:
		return collect(collect(texts, n.Left), n.Right)
	case *ast.UnaryNode:
		return collect(texts, n.Node)
	case *ast.ConditionalNode:
		return collect(collect(collect(texts, n.Cond), n.Exp1), n.Exp2)
	case *ast.ArrayNode:
		for _, one := range n.Nodes {
			texts = collect(texts, one)
		}
		return texts
	case *ast.VariableDeclaratorNode:
		return collect(collect(texts, n.Value), n.Expr)
	case *ast.BuiltinNode:
		if len(n.Arguments) == 2 {
			if _, loop := n.Arguments[1].(*ast.PredicateNode); loop {
				return collect(texts, n.Arguments[0])
			}
		}
		if len(n.Arguments) == 0 {
			return texts
		}
	case *ast.IdentifierNode, *ast.MemberNode, *ast.CallNode, *ast.ChainNode, *ast.SliceNode:
	default:
		return texts
	}
	if text := n.String(); !slices.Contains(texts, text) {
		texts = append(texts, text)
	}
	return texts
}

// show writes a value the way an expression would.
func show(v any) string {
	switch v := v.(type) {
	case string:
		return strconv.Quote(cut(v, 200))
	case time.Duration:
		return rounded(v).String()
	case float64:
		return shortFloat(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339)
	case nil:
		return "nil"
	case []string, []any, map[string]any, map[string]string:
		if b, err := json.Marshal(v); err == nil {
			return string(b)
		}
	}
	return fmt.Sprint(v)
}

// shortFloat writes v with at most four decimals if it has more than that to say. It cuts and
// does not round: 13.99999 is not shown as the 14 that it is not.
func shortFloat(v float64) string {
	text := strconv.FormatFloat(v, 'f', -1, 64)
	whole, decimals, _ := strings.Cut(text, ".")
	if len(decimals) <= 4 || math.Abs(v) < 0.1 {
		return text
	}
	return whole + "." + decimals[:4]
}

// rounded keeps about three digits of d.
func rounded(d time.Duration) time.Duration {
	unit := time.Nanosecond
	for unit*1000 <= d.Abs() {
		unit *= 10
	}
	return d.Round(unit)
}

// cut shortens s to n characters.
func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	count := 0
	for i := range s {
		if count == n-1 {
			return s[:i] + "…"
		}
		count++
	}
	return s
}
