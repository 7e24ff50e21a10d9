package manifest

import (
	"encoding/json"
	"reflect"
	"strconv"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/when"
)

// SchemaURL is where editors find the schema.
const SchemaURL = "https://raw.githubusercontent.com/vedettehq/vedette/main/manifest/vedette.schema.json"

// Schema returns the JSON Schema (draft 2020-12) of the file format, for editors. It is as
// strict as a schema can be where a value may come from the environment.
func Schema() []byte {
	s := schema{plans: plans{}, defs: map[string]any{}}
	root := s.object(reflect.TypeFor[document]())
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = SchemaURL
	root["title"] = "Vedette configuration"
	root["$defs"] = s.defs
	b, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic(err) // maps of strings cannot fail
	}
	return append(b, '\n')
}

type object = map[string]any

type schema struct {
	plans plans
	defs  object
}

// object describes a struct. Keys that begin with x- are free.
func (s schema) object(t reflect.Type) object {
	props := object{}
	for _, f := range s.plans.of(t) {
		p := s.field(f)
		if f.doc != "" {
			p["description"] = f.doc
		}
		props[f.key] = p
	}
	return object{
		"type":                 "object",
		"properties":           props,
		"patternProperties":    object{"^(x-|<<$)": object{}},
		"additionalProperties": false,
	}
}

func (s schema) field(f field) object {
	if len(f.enum) > 0 {
		return choice(f.enum)
	}
	return s.of(f.typ)
}

// choice allows words, numbers among them also without quotes, and what the environment says.
func choice(words []string) object {
	all := make([]any, 0, len(words))
	for _, w := range words {
		all = append(all, w)
		if n, err := strconv.ParseFloat(w, 64); err == nil {
			all = append(all, n)
		}
	}
	return object{"anyOf": []any{object{"enum": all}, fromEnv()}}
}

func fromEnv() object { return object{"type": "string", "pattern": `\$\{`} }

func (s schema) of(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Duration]():
		unit := `([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h|d|w|y)`
		return object{"anyOf": []any{
			object{"type": "string", "pattern": "^(0|(" + unit + ")+)$", "examples": []any{"30s", "1d12h", when.FormatDuration(when.Week)}},
			object{"const": 0},
			fromEnv(),
		}}
	case reflect.TypeFor[check.Size]():
		return object{"anyOf": []any{object{"type": "string", "pattern": "^[0-9]+ *([kKmMgGtT]i?)?[bB]$"}, fromEnv()}}
	case reflect.TypeFor[quorum]():
		return object{"anyOf": []any{
			object{"type": "integer"},
			object{"type": "string", "pattern": "^[0-9]+( of [0-9]+)?$", "examples": []any{"2 of 3"}},
			fromEnv(),
		}}
	case reflect.TypeFor[timing]():
		return object{"anyOf": []any{object{"type": "string", "examples": []any{"5m", "0 3 * * *", "every_hour"}}, object{"const": 0}, s.basic(t)}}
	case reflect.TypeFor[priority]():
		return object{"anyOf": []any{object{"enum": []any{"utmost", "high", "normal"}}, object{"type": "integer"}, fromEnv()}}
	case reflect.TypeFor[retries]():
		return object{"anyOf": []any{object{"type": "integer"}, fromEnv(), s.basic(t)}}
	case reflect.TypeFor[rate]():
		return object{"anyOf": []any{object{"type": "string", "pattern": "^[0-9]+ */", "examples": []any{"10/m"}}, fromEnv(), s.basic(t)}}
	case reflect.TypeFor[shares]():
		return s.shares()
	case reflect.TypeFor[TLS]():
		return object{"anyOf": []any{object{"type": "boolean"}, fromEnv(), s.basic(t)}}
	case reflect.TypeFor[check.Secret]():
		return s.ref("secret", func() object {
			return object{"anyOf": []any{word(), object{
				"type": "object", "additionalProperties": false, "required": []any{"file"},
				"properties": object{"file": object{"type": "string", "description": "File that holds the value, read again when it changes."}},
			}}}
		})
	case reflect.TypeFor[check.Expectation]():
		return s.ref("expectation", func() object { return object{"anyOf": []any{word(), s.object(t)}} })
	case reflect.TypeFor[vedette.Kind]():
		return s.ref("kind", func() object { return choice(names(vedette.Kinds())) })
	case reflect.TypeFor[settings](), reflect.TypeFor[monitor](), reflect.TypeFor[scraper]():
		return s.ref(t.Name(), func() object {
			o := s.object(t)
			switch t {
			case reflect.TypeFor[settings]():
				o["type"] = []any{"object", "null"}
			case reflect.TypeFor[monitor]():
				o["required"] = []any{"name", "url"}
			default:
				o["required"] = []any{"name", "handler"}
			}
			return o
		})
	}
	return s.basic(t)
}

func (s schema) basic(t reflect.Type) object {
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Struct:
		o := s.object(t)
		o["type"] = []any{"object", "null"}
		return o
	case reflect.Map:
		return object{"type": []any{"object", "null"}, "additionalProperties": s.of(t.Elem())}
	case reflect.Slice:
		items := s.of(t.Elem())
		return object{"anyOf": []any{object{"type": []any{"array", "null"}, "items": items}, items}}
	case reflect.Bool:
		return object{"anyOf": []any{object{"type": "boolean"}, fromEnv()}}
	case reflect.Int:
		return object{"anyOf": []any{object{"type": "integer"}, fromEnv()}}
	case reflect.Float64:
		return object{"anyOf": []any{object{"type": "number"}, fromEnv()}}
	case reflect.String:
		return word()
	}
	return object{}
}

// word allows what YAML reads as something else but is taken as it stands.
func word() object { return object{"type": []any{"string", "number", "boolean", "null"}} }

// shares describes the queues of a worker.
func (s schema) shares() object {
	names := s.of(reflect.TypeFor[[]string]())
	share := object{"anyOf": []any{object{"type": []any{"integer", "null"}}, fromEnv(), s.object(reflect.TypeFor[Share]())}}
	return object{"anyOf": []any{names, object{
		"type":       "object",
		"properties": object{"strict": object{"description": "These, each only when those before it have nothing.", "anyOf": append(names["anyOf"].([]any), object{"type": "integer"})}},
		// Names of queues with their weights.
		"additionalProperties": share,
	}}}
}

// ref describes a type once.
func (s schema) ref(name string, describe func() object) object {
	if _, ok := s.defs[name]; !ok {
		s.defs[name] = nil // the type may hold itself
		s.defs[name] = describe()
	}
	return object{"$ref": "#/$defs/" + name}
}
