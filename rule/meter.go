package rule

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/expr-lang/expr/ast"

	"github.com/vedettehq/vedette/when"
)

// A Meter bounds what the loops of one evaluation do. Facts embed it.
type Meter struct {
	// Weight is how many bytes of text the facts hold: a loop whose body reads facts costs more.
	Weight int `expr:"-"`
	left   int
}

func (m *Meter) meter() *Meter { return m }

// budget is how much one evaluation may spend: a round of a loop costs 1, and 1 more for every
// 64 bytes of facts if it reads facts. This keeps the worst case near a second.
const budget = 1_000_000

var errBudget = errors.New("the expression loops over too much")

const spendName = "$spend"

// loop has a loop pay for its rounds before it begins.
func (p *patch) loop(n *ast.BuiltinNode) {
	if len(n.Arguments) != 2 {
		return
	}
	body, ok := n.Arguments[1].(*ast.PredicateNode)
	if !ok {
		return
	}
	switch n.Arguments[0].Type().Kind() {
	case reflect.Slice, reflect.Map, reflect.Array, reflect.Interface:
	default:
		p.fail(n.Arguments[0], "", "%s goes over a list, %s is %s", n.Name, n.Arguments[0], n.Arguments[0].Type())
	}
	heavy := &ast.IntegerNode{}
	if readsFacts(body) {
		heavy.Value = 1
	}
	pay := &ast.CallNode{
		Callee:    &ast.IdentifierNode{Value: spendName},
		Arguments: []ast.Node{&ast.IdentifierNode{Value: "$env"}, n.Arguments[0], heavy},
	}
	ast.Patch(&n.Arguments[0], pay)
}

type finder struct{ found bool }

func (f *finder) Visit(node *ast.Node) {
	if id, ok := (*node).(*ast.IdentifierNode); ok && id.Value != "$env" && id.Value != spendName {
		f.found = true
	}
}

func readsFacts(body ast.Node) bool {
	var f finder
	ast.Walk(&body, &f)
	return f.found
}

// spend takes what a loop over params[1] costs from the meter of params[0].
func spend(params ...any) (any, error) {
	m := params[0].(Facts).meter()
	cost := 1
	if params[2].(int) == 1 {
		cost += m.Weight / 64
	}
	rounds := 0
	if v := reflect.ValueOf(params[1]); v.IsValid() && (v.Kind() == reflect.Slice || v.Kind() == reflect.Map || v.Kind() == reflect.Array) {
		rounds = v.Len()
	}
	if m.left -= rounds * cost; m.left < 0 {
		return nil, errBudget
	}
	return params[1], nil
}

func duration(params ...any) (any, error) {
	return when.ParseDuration(params[0].(string))
}

// aggregates are the signatures of max and min: over durations, numbers, or anything.
func aggregates() []any {
	return []any{
		new(func(time.Duration, ...time.Duration) time.Duration),
		new(func(int, ...int) int),
		new(func(float64, ...float64) float64),
		new(func(any, ...any) any),
	}
}

func longest(params ...any) (any, error)  { return extreme(params, 1) }
func shortest(params ...any) (any, error) { return extreme(params, -1) }

// extreme returns the largest of params if sign is 1, the smallest if it is -1. A single list
// stands for its elements.
func extreme(params []any, sign int) (any, error) {
	if len(params) == 1 {
		if list, ok := params[0].([]any); ok {
			params = list
		}
	}
	var best any
	var most float64
	for _, p := range params {
		f, ok := number(p)
		if !ok {
			return nil, fmt.Errorf("max and min compare numbers and durations, not %T", p)
		}
		if best == nil || float64(sign)*f > float64(sign)*most {
			best, most = p, f
		}
	}
	if best == nil {
		return nil, errors.New("max and min of nothing")
	}
	return best, nil
}

func number(v any) (float64, bool) {
	switch n := v.(type) {
	case time.Duration:
		return float64(n), true
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	case float64:
		return n, true
	}
	return 0, false
}
