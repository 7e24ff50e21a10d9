package manifest

import (
	"reflect"
	"strings"
)

// A field is one key of a struct, embedded structs included.
type field struct {
	key, doc string
	enum     []string
	index    []int
	typ      reflect.Type
	option   bool // one of package check's
}

// plans keeps the fields of the structs that were met.
type plans map[reflect.Type][]field

func (p plans) of(t reflect.Type) []field {
	if fields, ok := p[t]; ok {
		return fields
	}
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous || !f.IsExported() {
			continue
		}
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key == "" {
			continue
		}
		one := field{key: key, doc: f.Tag.Get("doc"), index: f.Index, typ: f.Type}
		if list := f.Tag.Get("enum"); list != "" {
			one.enum = strings.Split(list, ",")
		}
		one.option = embeds(t, f.Index, "Options")
		fields = append(fields, one)
	}
	p[t] = fields
	return fields
}

// embeds reports whether the way to a field leads through an embedded struct of that name.
func embeds(t reflect.Type, index []int, name string) bool {
	for _, i := range index[:len(index)-1] {
		f := t.Field(i)
		if f.Name == name {
			return true
		}
		t = f.Type
	}
	return false
}

func (p plans) field(t reflect.Type, key string) (field, bool) {
	for _, f := range p.of(t) {
		if f.key == key {
			return f, true
		}
	}
	return field{}, false
}
