package manifest

import (
	"encoding"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/internal/expand"
	"github.com/vedettehq/vedette/when"
)

// A decoder fills structs from nodes, by the tags of their fields. What is there already stays
// unless a node says otherwise: maps merge, lists replace, and nothing written changes nothing.
type decoder struct {
	*report
	plans   plans
	env     func(string) (string, bool)
	top     *node
	regions []string // all that there are, if that is said
}

// value fills v from n, which path names.
func (d *decoder) value(n *node, v reflect.Value, path string) {
	if n.kind == null {
		return
	}
	switch to := v.Addr().Interface().(type) {
	case *check.Secret:
		d.secret(n, to, path)
		return
	case *shares:
		d.shares(n, to, path)
		return
	case *time.Duration:
		if text, ok := d.text(n, path); ok {
			got, err := when.ParseDuration(text)
			d.keep(n, path, err, func() { *to = got })
		}
		return
	case *vedette.Kind:
		d.choice(n, v, path, slices.Values(names(vedette.Kinds())))
		return
	case encoding.TextUnmarshaler:
		if n.kind == dict && v.Kind() == reflect.Struct {
			break
		}
		if text, ok := d.text(n, path); ok {
			d.keep(n, path, to.UnmarshalText([]byte(text)), func() {})
		}
		return
	}
	d.basic(n, v, path)
}

func (d *decoder) basic(n *node, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Struct:
		d.object(n, v, path, nil)
	case reflect.Map:
		d.table(n, v, path)
	case reflect.Slice:
		d.items(n, v, path)
	case reflect.Pointer:
		to := reflect.New(v.Type().Elem())
		d.value(n, to.Elem(), path)
		v.Set(to)
	case reflect.Interface:
		v.Set(reflect.ValueOf(d.free(n, path)))
	default:
		if text, ok := d.text(n, path); ok {
			d.word(n, text, v, path)
		}
	}
}

// word fills a string, a truth or a number.
func (d *decoder) word(n *node, text string, v reflect.Value, path string) {
	switch v.Kind() {
	case reflect.Bool:
		got, err := strconv.ParseBool(text)
		switch {
		case err == nil && len(text) > 1:
			v.SetBool(got)
		case strings.EqualFold(text, "yes") || strings.EqualFold(text, "on"):
			d.add(n.at, path, text+" is neither true nor false", "did you mean true?")
		case strings.EqualFold(text, "no") || strings.EqualFold(text, "off"):
			d.add(n.at, path, text+" is neither true nor false", "did you mean false?")
		default:
			d.add(n.at, path, fmt.Sprintf("%q is neither true nor false", text), "")
		}
	case reflect.Int, reflect.Int64:
		got, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			d.add(n.at, path, fmt.Sprintf("%q is no whole number", text), "")
			return
		}
		v.SetInt(got)
	case reflect.Float64:
		got, err := strconv.ParseFloat(text, 64)
		if err != nil || got != got {
			d.add(n.at, path, fmt.Sprintf("%q is no number", text), "")
			return
		}
		v.SetFloat(got)
	default:
		v.SetString(text)
	}
}

// keep calls set unless there is an error, which it reports.
func (d *decoder) keep(n *node, path string, err error, set func()) {
	if err != nil {
		d.add(n.at, path, err.Error(), "")
		return
	}
	set()
}

// text returns a scalar with the environment filled in, and false after reporting why not.
func (d *decoder) text(n *node, path string) (string, bool) {
	if n.kind != scalar {
		d.add(n.at, path, fmt.Sprintf("want a value, not %s", n.kind), "")
		return "", false
	}
	if !strings.Contains(n.text, "$") {
		return n.text, true
	}
	text, err := expand.Text(n.text, d.env)
	if err != nil {
		d.add(n.at, path, err.Error(), "")
	}
	return text, err == nil
}

// object fills the fields of a struct. A key that except takes is left to it.
func (d *decoder) object(n *node, v reflect.Value, path string, except func(entry) bool) {
	if n.kind != dict {
		d.add(n.at, path, fmt.Sprintf("want a map, not %s", n.kind), "")
		return
	}
	for _, e := range n.keys {
		if strings.HasPrefix(e.key, "x-") || except != nil && except(e) {
			continue
		}
		f, known := d.plans.field(v.Type(), e.key)
		if !known {
			d.unknown(e, v.Type(), path)
			continue
		}
		if len(f.enum) > 0 {
			d.choice(e.val, v.FieldByIndex(f.index), join(path, e.key), slices.Values(f.enum))
			continue
		}
		d.value(e.val, v.FieldByIndex(f.index), join(path, e.key))
	}
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// table merges into a map.
func (d *decoder) table(n *node, v reflect.Value, path string) {
	if n.kind != dict {
		d.add(n.at, path, fmt.Sprintf("want a map, not %s", n.kind), "")
		return
	}
	// The map may be an inherited one that others hold too.
	merged := reflect.MakeMapWithSize(v.Type(), v.Len()+len(n.keys))
	for key, have := range v.Seq2() {
		merged.SetMapIndex(key, have)
	}
	for _, e := range n.keys {
		elem := reflect.New(v.Type().Elem()).Elem()
		d.value(e.val, elem, join(path, e.key))
		merged.SetMapIndex(reflect.ValueOf(e.key), elem)
	}
	v.Set(merged)
}

// items replaces a list. One value stands for a list of one.
func (d *decoder) items(n *node, v reflect.Value, path string) {
	of := n.items
	if n.kind != list {
		of = []*node{n}
	}
	made := reflect.MakeSlice(v.Type(), len(of), len(of))
	for i, item := range of {
		at := path
		if n.kind == list {
			at = fmt.Sprintf("%s[%d]", path, i)
		}
		if item.kind == null {
			d.add(item.at, at, emptyItem, "")
			continue
		}
		d.value(item, made.Index(i), at)
	}
	v.Set(made)
}

// choice fills a string that is one of few.
func (d *decoder) choice(n *node, v reflect.Value, path string, of seq) {
	if n.kind == null {
		return
	}
	text, ok := d.text(n, path)
	if !ok {
		return
	}
	all := slices.Collect(of)
	if !slices.Contains(all, text) {
		fix := "want one of " + strings.Join(all, ", ")
		if near := didYouMean(text, of); near != "" && len(text) > 3 {
			fix = near
		}
		d.add(n.at, path, fmt.Sprintf("%q is unknown", text), fix)
		return
	}
	v.SetString(text)
}

// secret keeps the text of a secret as it stands, to be looked up when it is used, but wants
// its variables to be there now.
func (d *decoder) secret(n *node, to *check.Secret, path string) {
	if n.kind == scalar {
		_, err := expand.Text(n.text, d.env)
		if _, ok := errors.AsType[*expand.FormError](err); ok {
			err = errors.New(expand.NoForm) // without the text
		}
		d.keep(n, path, err, func() { *to = check.Secret{Text: n.text} })
		return
	}
	var from struct {
		File string `json:"file"`
	}
	d.object(n, reflect.ValueOf(&from).Elem(), path, nil)
	if from.File == "" && n.kind == dict {
		d.add(n.at, path, "a secret is a string, ${ENV}, or {file: PATH}", "")
	}
	*to = check.Secret{File: from.File}
}

// free returns what n holds where no struct says what it should.
func (d *decoder) free(n *node, path string) any {
	switch n.kind {
	case dict:
		m := make(map[string]any, len(n.keys))
		for _, e := range n.keys {
			m[e.key] = d.free(e.val, join(path, e.key))
		}
		return m
	case list:
		s := make([]any, len(n.items))
		for i, item := range n.items {
			s[i] = d.free(item, fmt.Sprintf("%s[%d]", path, i))
		}
		return s
	case scalar:
		text, _ := d.text(n, path)
		if n.plain {
			return plainValue(text)
		}
		return text
	}
	return nil
}

// plainValue tells numbers and truths from words, as YAML 1.2's core schema does in decimal.
func plainValue(text string) any {
	switch text {
	case "true", "True", "TRUE":
		return true
	case "false", "False", "FALSE":
		return false
	}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		return i
	}
	if f, err := strconv.ParseFloat(text, 64); err == nil && strings.IndexByte("+-.0123456789", text[0]) >= 0 && f-f == 0 {
		return f
	}
	return text
}

func names[S ~string](of []S) []string {
	words := make([]string, len(of))
	for i, s := range of {
		words[i] = string(s)
	}
	return words
}

func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
