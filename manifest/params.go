package manifest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/scrape"
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

// ParamMistakes returns what a built-in handler will not take of params, as [scrape.Mistakes] does,
// fit to be shown: the secrets that it quotes are [Hidden].
func ParamMistakes(handler string, raw vedette.Raw) vedette.Mistakes {
	wrong := scrape.Mistakes(handler, raw)
	v, err := decodeParams(raw)
	if err != nil || len(wrong) == 0 {
		return wrong
	}
	var pairs []string
	quotes(v, false, func(text, shown string) { pairs = append(pairs, text, shown) })
	hide := strings.NewReplacer(pairs...)
	for i := range wrong {
		wrong[i].Text = hide.Replace(wrong[i].Text)
	}
	return wrong
}

// quotes calls f with each secret in v as messages quote it, and with what to show instead.
func quotes(v any, secret bool, f func(text, shown string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			quotes(inner, secret && key != "file" || isSecret(key), f)
		}
	case []any:
		for _, inner := range v {
			quotes(inner, secret, f)
		}
	case json.Number:
		if secret {
			f(v.String(), Hidden)
		}
	case string:
		shown, _ := hideIn(v, secret).(string)
		if shown == v {
			return
		}
		f(strconv.Quote(v), strconv.Quote(shown))
		if raw, err := json.Marshal(v); err == nil && string(raw) != strconv.Quote(v) {
			f(string(raw), strconv.Quote(shown))
		}
	}
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
