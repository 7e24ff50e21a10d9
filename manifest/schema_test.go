package manifest_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette/manifest"
)

func TestTheSchemaFileIsUpToDate(t *testing.T) {
	const path = "vedette.schema.json"
	if *update {
		if err := os.WriteFile(path, manifest.Schema(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(manifest.Schema())); diff != "" {
		t.Error(diff)
	}
}

// A validator knows as much of JSON Schema as ours uses, and fails on anything else.
type validator struct {
	root map[string]any
}

func (v validator) check(schema map[string]any, value any, path string) error {
	for key, want := range schema {
		if err := v.keyword(schema, key, want, value, path); err != nil {
			return err
		}
	}
	return nil
}

func (v validator) keyword(schema map[string]any, key string, want, value any, path string) error {
	ok := true
	switch key {
	case "$schema", "$id", "$defs", "title", "description", "examples", "patternProperties", "additionalProperties":
	case "$ref":
		name := strings.TrimPrefix(want.(string), "#/$defs/")
		return v.check(v.root["$defs"].(map[string]any)[name].(map[string]any), value, path)
	case "type":
		types, many := want.([]any)
		if !many {
			types = []any{want}
		}
		ok = slices.ContainsFunc(types, func(t any) bool { return hasType(t.(string), value) })
	case "enum":
		ok = slices.Contains(want.([]any), value)
	case "const":
		ok = want == value
	case "pattern":
		text, isText := value.(string)
		ok = !isText || regexp.MustCompile(want.(string)).MatchString(text)
	case "anyOf":
		ok = slices.ContainsFunc(want.([]any), func(s any) bool { return v.check(s.(map[string]any), value, path) == nil })
	case "required":
		object, isObject := value.(map[string]any)
		for _, name := range want.([]any) {
			_, has := object[name.(string)]
			ok = ok && (has || !isObject)
		}
	case "items":
		list, _ := value.([]any)
		for i, item := range list {
			if err := v.check(want.(map[string]any), item, fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
	case "properties":
		return v.properties(schema, value, path)
	default:
		return fmt.Errorf("%s: %s is not tried by this test", path, key)
	}
	if key == "additionalProperties" && schema["properties"] == nil {
		return v.properties(schema, value, path)
	}
	if !ok {
		return fmt.Errorf("%s: %v is not of %s %v", path, value, key, want)
	}
	return nil
}

func (v validator) properties(schema map[string]any, value any, path string) error {
	object, _ := value.(map[string]any)
	known, _ := schema["properties"].(map[string]any)
	for key, member := range object {
		of, ok := known[key].(map[string]any)
		free, _ := schema["patternProperties"].(map[string]any)
		for pattern := range free {
			if regexp.MustCompile(pattern).MatchString(key) {
				of, ok = map[string]any{}, true
			}
		}
		if !ok {
			of, ok = schema["additionalProperties"].(map[string]any)
		}
		if !ok {
			return fmt.Errorf("%s: unknown key %s", path, key)
		}
		if err := v.check(of, member, path+"."+key); err != nil {
			return err
		}
	}
	return nil
}

func hasType(name string, value any) bool {
	switch value := value.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && value == math.Trunc(value)
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	}
	return false
}

func validate(t *testing.T, text string) error {
	t.Helper()
	var value, root any
	if err := yaml.UnmarshalWithOptions([]byte(text), &value, yaml.AllowDuplicateMapKey()); err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &value); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(manifest.Schema(), &root); err != nil {
		t.Fatal(err)
	}
	v := validator{root: root.(map[string]any)}
	return v.check(v.root, value, "")
}

func TestTheSchemaAllowsWhatIsValid(t *testing.T) {
	for _, text := range []string{
		full, string(manifest.Init(nil)), show(t, parse(t, full, "KEY=k"), ""),
		"monitors:\n- {name: 1, url: 'tcp://a:1', interval: '${I}', timeout: .5s, confirm: {down: '${N}'}, expect: {that: a, say: b}, x-a: 1, paused: '${P:-true}'}\n",
		scaled, threeRegions, "results: kafka://k:1/t\nkafka: {tls: true, sasl: {user: u, password: {file: p}}, spool: {max_bytes: '${N}'}}\ndefaults: {quorum: '${Q}'}\n",
		"groups: {shop: }\nmonitors: []\nx-a: {b: 1}\nmaintenance: {from: 2026-01-01, for: 1h}\nretention: {results: 0}\n",
	} {
		if err := validate(t, text); err != nil {
			t.Errorf("%v\n%s", err, text)
		}
	}
}

func TestTheSchemaRefusesWhatIsWrong(t *testing.T) {
	for name, text := range map[string]string{
		"an unknown key":          "intervall: 30s\n",
		"an unknown monitor key":  "monitors:\n- {name: a, url: b, conditions: []}\n",
		"a number as duration":    "defaults: {interval: 30}\n",
		"an unknown unit":         "defaults: {interval: 30 sec}\n",
		"an unknown choice":       "log: {level: verbose}\n",
		"an unknown kind":         "defaults: {fails_with: [refusd]}\n",
		"a name in defaults":      "defaults: {name: a}\n",
		"a monitor without a url": "monitors:\n- {name: a}\n",
		"yes":                     "defaults: {paused: yes}\n",
		"a size without unit":     "defaults: {request: {max_body: 100}}\n",
		"a secret of a map":       "defaults: {request: {bearer: {env: A}}}\n",
		"a quorum of words":       "defaults: {quorum: most}\n",
		"tls that is a text":      "kafka: {tls: maybe}\n",
		"a list for a map":        "defaults: {labels: [a]}\n",
	} {
		if err := validate(t, text); err == nil {
			t.Errorf("%s is allowed", name)
		}
	}
}

// TestWhatTheSchemaRefusesIsAMistake holds the golden files against the schema: what is in
// them is wrong for a reason that a schema cannot know only where this says so.
func TestWhatTheSchemaRefusesIsAMistake(t *testing.T) {
	files, err := filepath.Glob("testdata/broken/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var allowed []string
	for _, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if name := filepath.Base(path); !strings.HasPrefix(name, "syntax") && validate(t, string(b)) == nil {
			allowed = append(allowed, strings.TrimSuffix(name, ".yaml"))
		}
	}
	if want := []string{"environment", "halves", "maintenance", "places", "tls", "warning-kafka", "warning-none"}; !reflect.DeepEqual(allowed, want) {
		t.Errorf("the schema allows %v, want %v", allowed, want)
	}
}
