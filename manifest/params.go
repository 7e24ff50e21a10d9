package manifest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/vedettehq/vedette"
)

// Hidden stands for a secret that is not shown.
const Hidden = "***"

// HideParams returns params fit to be shown: the values under keys that hold secrets, as in
// headers, env and password, are [Hidden].
func HideParams(raw vedette.Raw) vedette.Raw {
	if len(raw) == 0 {
		return raw
	}
	v, err := decodeParams(raw)
	if err != nil {
		return vedette.Raw(`"` + Hidden + `"`) // no JSON: nobody knows what is in it
	}
	shown, err := json.Marshal(hideIn(v, false))
	if err != nil {
		return vedette.Raw(`"` + Hidden + `"`)
	}
	return shown
}

// decodeParams reads JSON and keeps its numbers as they are written.
func decodeParams(raw vedette.Raw) (v any, err error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return v, d.Decode(&v)
}

// hideIn hides what is secret in v, which all of it is if it stands under such a key.
func hideIn(v any, secret bool) any {
	switch v := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, inner := range v {
			out[key] = hideIn(inner, secret && key != "file" || isSecret(key))
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, inner := range v {
			out[i] = hideIn(inner, secret)
		}
		return out
	case nil, bool:
		return v
	case string:
		if secret && v != "" {
			return Hidden
		}
		return withoutPassword(v)
	}
	if secret {
		return Hidden
	}
	return v
}

// IsHidden reports whether params hold a secret as it was shown instead of as it is.
func IsHidden(raw vedette.Raw) bool {
	v, err := decodeParams(raw)
	return err == nil && holdsHidden(v)
}

func holdsHidden(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return slices.ContainsFunc(slices.Collect(maps.Values(v)), holdsHidden)
	case []any:
		return slices.ContainsFunc(v, holdsHidden)
	case string:
		return v == Hidden
	}
	return false
}
