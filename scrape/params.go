package scrape

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
)

// params reads the keys of a JSON object and gathers what is wrong with them.
type params struct {
	keys  map[string]json.RawMessage
	wrong vedette.Mistakes
}

func readParams(raw vedette.Raw) *params {
	p := &params{}
	if len(raw) == 0 || string(raw) == "null" {
		return p
	}
	if err := json.Unmarshal(raw, &p.keys); err != nil {
		p.mistake("", "write key: value", "params are no object")
	}
	return p
}

func (p *params) mistake(path, fix, text string, args ...any) {
	p.wrong = append(p.wrong, vedette.Mistake{Path: path, Text: fmt.Sprintf(text, args...), Fix: fix})
}

// get reads a key into out, and reports whether it is there and as it should be.
func (p *params) get(key string, out any, fix string) bool {
	raw, ok := p.keys[key]
	if !ok || string(raw) == "null" {
		return false
	}
	if err := json.Unmarshal(raw, out); err != nil {
		p.mistake(key, fix, "%s is not what it takes", short(maskParam(key, raw)))
		return false
	}
	return true
}

// short returns raw as a message shows it.
func short(raw []byte) string {
	const most = 40
	if len(raw) <= most {
		return string(raw)
	}
	return strings.ToValidUTF8(string(raw[:most]), "") + "…"
}

func (p *params) text(key string) (s string) {
	p.get(key, &s, "write a text")
	return s
}

// required is a text that must be there.
func (p *params) required(key, fix string) string {
	if _, ok := p.keys[key]; !ok {
		p.mistake(key, fix, "is required")
		return ""
	}
	s := p.text(key)
	if s == "" && !p.told(key) {
		p.mistake(key, fix, "is empty")
	}
	return s
}

func (p *params) told(key string) bool {
	return slices.ContainsFunc(p.wrong, func(m vedette.Mistake) bool { return m.Path == key })
}

// duration is a time above 0, or 0 if it is not there.
func (p *params) duration(key string) time.Duration {
	var s string
	const fix = `write it with its unit, as in "10s"`
	if !p.get(key, &s, fix) {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		p.mistake(key, fix, "%q is no duration above 0", s)
		return 0
	}
	return d
}

var units = map[string]int64{
	"": 1, "B": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30,
}

// size is a number of bytes above 0, or 0 if it is not there.
func (p *params) size(key string) int64 {
	const fix = `write bytes, or "512MiB"`
	raw, ok := p.keys[key]
	if !ok || string(raw) == "null" {
		return 0
	}
	s := strings.Trim(string(raw), `"`)
	digits := strings.TrimRight(s, "kKMGiB ")
	n, err := strconv.ParseInt(digits, 10, 64)
	unit := units[strings.TrimSpace(s[len(digits):])]
	if err != nil || unit == 0 || n <= 0 || n > math.MaxInt64/unit {
		p.mistake(key, fix, "%s is no size above 0", short(raw))
		return 0
	}
	return n * unit
}

// words is a list of texts, such as secrets.
func (p *params) words(key string) []string {
	var raw []json.RawMessage
	if !p.get(key, &raw, `write a list, as in ["curl", "-s"]`) {
		return nil
	}
	all := make([]string, len(raw))
	for i, r := range raw {
		all[i] = p.scalar(fmt.Sprintf("%s[%d]", key, i), r)
	}
	return all
}

// table is an object of texts, such as secrets.
func (p *params) table(key string) map[string]string {
	var raw map[string]json.RawMessage
	if !p.get(key, &raw, "write NAME: value") {
		return nil
	}
	all := make(map[string]string, len(raw))
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		all[name] = p.scalar(key+"."+maskAssignment(name), raw[name])
	}
	return all
}

// scalar is a text, or a number or a truth value as it is written.
func (p *params) scalar(path string, raw json.RawMessage) string {
	var s string
	switch {
	case json.Unmarshal(raw, &s) == nil && string(raw) != "null":
	case strings.ContainsAny(string(raw[:1]), "{[n"):
		p.mistake(path, "write a text", "%s is no text", short(maskJSON(raw)))
	default:
		s = string(raw)
	}
	if strings.Contains(s, "\x00") {
		p.mistake(path, "", "has a zero byte in it")
	}
	return s
}

// only complains of keys that are not known.
func (p *params) only(known ...string) {
	for _, key := range slices.Sorted(maps.Keys(p.keys)) {
		if !slices.Contains(known, key) {
			p.mistake(key, "want one of "+strings.Join(known, ", "), "is no key of this handler")
		}
	}
}
