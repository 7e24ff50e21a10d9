package rule

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"

	"github.com/vedettehq/vedette/when"
)

// builtins lists the functions that every expression has.
func builtins() []string {
	return []string{
		"len", "lower", "upper", "trim", "any", "all", "none", "count", "filter", "map",
		"max", "min", "int", "float", "string", "now", "duration",
	}
}

func (l *Lang) options() []expr.Option {
	o := []expr.Option{
		expr.Env(l.conf.Facts),
		expr.DisableAllBuiltins(),
		expr.MaxNodes(maxNodes),
		expr.Function("duration", duration, new(func(string) time.Duration)),
		expr.Function("max", longest, aggregates()...),
		expr.Function("min", shortest, aggregates()...),
		expr.Function(spendName, spend, new(func(any, any, int) any)),
	}
	for _, name := range builtins() {
		if name != "duration" && name != "max" && name != "min" {
			o = append(o, expr.EnableBuiltin(name))
		}
	}
	return o
}

// A patch walks the tree of an expression before it is compiled, from the leaves up. It turns
// strings that stand beside durations into durations, makes loops count what they do, and
// keeps the first mistake.
type patch struct {
	lang    *Lang
	src     string
	uses    []string
	mistake *Error
	hidden  ast.Node // the name behind mistake, if it is known elsewhere only
}

func (p *patch) fail(n ast.Node, fix, format string, args ...any) {
	if p.mistake == nil {
		p.mistake = &Error{byteOffset(p.src, n.Location().From), fmt.Sprintf(format, args...), fix}
	}
}

// Visit is called by expr for every node.
func (p *patch) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		p.name(n)
	case *ast.MemberNode:
		if p.hidden != nil && n.Node == p.hidden {
			where, _, _ := strings.Cut(p.mistake.Text, " is known")
			p.mistake.Text = strings.Replace(p.mistake.Text, where, n.String(), 1)
			p.hidden = nil
		}
	case *ast.BinaryNode:
		p.binary(n)
	case *ast.CallNode:
		p.call(node, n)
	case *ast.BuiltinNode:
		p.loop(n)
	}
}

func (p *patch) name(n *ast.IdentifierNode) {
	if where, ok := p.lang.conf.Elsewhere[n.Value]; ok {
		if p.mistake == nil {
			p.hidden = n
		}
		p.fail(n, "", "%s is known only for %s", n.Value, where)
	}
	if strings.HasPrefix(n.Value, "$") || strings.HasPrefix(n.Value, "_") {
		p.fail(n, "", "unknown name %s", n.Value)
	}
	if !slices.Contains(p.uses, n.Value) {
		p.uses = append(p.uses, n.Value)
	}
}

func (p *patch) binary(n *ast.BinaryNode) {
	switch n.Operator {
	case "<", "<=", ">", ">=", "==", "!=", "+", "-":
		p.besideDuration(n, n.Left, &n.Right)
		p.besideDuration(n, n.Right, &n.Left)
		if n.Operator == "+" && (isKind(n.Left, reflect.String) || isKind(n.Right, reflect.String)) {
			p.fail(n, "compare the parts by themselves", "texts cannot be joined")
		}
	case "matches":
		if _, ok := n.Right.(*ast.StringNode); !ok {
			p.fail(n.Right, `write the pattern in quotes`, "the pattern after matches must be a constant")
		}
	}
}

// besideDuration makes other a duration if d is one.
func (p *patch) besideDuration(n *ast.BinaryNode, d ast.Node, other *ast.Node) {
	if d.Type() != reflect.TypeFor[time.Duration]() || (*other).Type() == reflect.TypeFor[time.Duration]() {
		return
	}
	switch o := (*other).(type) {
	case *ast.StringNode:
		p.constant(other, o.Value, o)
	case *ast.IntegerNode, *ast.FloatNode:
		p.fail(o, fmt.Sprintf(`did you mean "%ss" or "%sms"?`, o, o), "%s is a duration, %s is a bare number", d, o)
	default:
		if isNumber(o) {
			p.fail(o, "", "%s is a duration, %s is a number", d, o)
		} else if n.Operator != "+" && n.Operator != "-" && isKind(o, reflect.String) {
			p.fail(o, "use duration(...)", "%s is a duration, %s is a text", d, o)
		}
	}
}

func (p *patch) constant(node *ast.Node, text string, at ast.Node) {
	d, err := when.ParseDuration(text)
	if err != nil {
		p.fail(at, "", "%v", err)
		return
	}
	c := &ast.ConstantNode{Value: d}
	c.SetType(reflect.TypeFor[time.Duration]())
	ast.Patch(node, c)
}

func isKind(n ast.Node, k reflect.Kind) bool { return n.Type() != nil && n.Type().Kind() == k }

func isNumber(n ast.Node) bool {
	switch n.Type().Kind() {
	case reflect.Int, reflect.Int64, reflect.Float64:
		return true
	}
	return false
}

func (p *patch) call(node *ast.Node, n *ast.CallNode) {
	callee, ok := n.Callee.(*ast.IdentifierNode)
	if !ok || len(n.Arguments) != 1 {
		return
	}
	text, constant := n.Arguments[0].(*ast.StringNode)
	if callee.Value == "duration" && constant {
		p.constant(node, text.Value, text)
	}
	check, ok := p.lang.conf.Args[callee.Value]
	if !ok {
		return
	}
	if !constant {
		p.fail(n.Arguments[0], "write it in quotes", "the argument of %s must be a constant", callee.Value)
	} else if err := check(text.Value); err != nil {
		p.fail(text, "", "%v", err)
	}
}
