package check

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/rule"
)

// decode reads the keys of raw into the struct at v and collects all mistakes, in the order of
// the fields. It returns the keys that raw holds.
func decode(raw vedette.Raw, v any) (keys []string, mistakes vedette.Mistakes) {
	if len(raw) == 0 {
		return nil, nil
	}
	return decodeStruct("", raw, reflect.ValueOf(v).Elem())
}

func decodeStruct(path string, raw []byte, v reflect.Value) (keys []string, mistakes vedette.Mistakes) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, vedette.Mistakes{{Path: path, Text: "want keys with values, not " + excerpt(raw)}}
	}
	var names []string
	for f, field := range v.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
		value, ok := members[name]
		if !ok {
			continue
		}
		keys = append(keys, name)
		delete(members, name)
		mistakes = append(mistakes, decodeField(join(path, name), value, field)...)
	}
	var unknown []string
	for key := range members {
		unknown = append(unknown, key)
	}
	slices.Sort(unknown)
	for _, key := range unknown {
		mistakes = append(mistakes, vedette.Mistake{Path: join(path, key), Text: "unknown key", Fix: rule.DidYouMean(key, names)})
	}
	return keys, mistakes
}

func decodeField(path string, raw []byte, field reflect.Value) vedette.Mistakes {
	_, custom := reflect.TypeAssert[json.Unmarshaler](field.Addr())
	if field.Kind() == reflect.Struct && !custom {
		_, mistakes := decodeStruct(path, raw, field)
		return mistakes
	}
	err := json.Unmarshal(raw, field.Addr().Interface())
	if err == nil {
		return nil
	}
	text := err.Error()
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		text = fmt.Sprintf("want %s, not %s", wanted(wrong.Type), excerpt(raw))
	}
	return vedette.Mistakes{{Path: path, Text: text}}
}

func wanted(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "keys with values"
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	}
	return "a number"
}

func excerpt(raw []byte) string {
	if len(raw) > 40 {
		return string(raw[:40]) + "…"
	}
	return string(raw)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}
