package scrape

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
)

// A program is what the params of exec say.
type program struct {
	argv  []string
	dir   string
	env   map[string]string
	items bool          // from its standard output
	grace time.Duration // between SIGTERM and SIGKILL
	limits
}

// limits bound what a program may use; 0 does not.
type limits struct {
	cpu    time.Duration // of each of its processes, in whole seconds, rounded up
	memory int64         // bytes of data, of each of its processes
}

// nearMisses are keys that others use for what exec calls by another name.
var nearMisses = map[string]string{
	"arg": "argv", "args": "argv", "cmd": "argv", "command": "argv",
	"item": "items", "environment": "env", "cwd": "dir", "mem": "memory",
}

func parseProgram(raw vedette.Raw) (program, vedette.Mistakes) {
	in := readParams(raw)
	p := program{
		argv: in.words("argv"), dir: in.text("dir"), env: in.table("env"),
		grace:  in.duration("grace"),
		limits: limits{cpu: in.duration("cpu"), memory: in.size("memory")},
	}
	switch {
	case in.told("argv"):
	case len(p.argv) == 0:
		in.mistake("argv", `name the program and its arguments, as in ["python3", "shop.py"]`, "is required")
	case p.argv[0] == "" && !in.told("argv[0]"):
		in.mistake("argv[0]", "name the program", "is empty")
	}
	for _, name := range slices.Sorted(maps.Keys(p.env)) {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			name = maskAssignment(name)
			in.mistake("env."+name, "", "%q is no name of a variable", name)
		}
	}
	switch items := in.text("items"); {
	case items == "stdout":
		p.items = true
	case items != "":
		in.mistake("items", "write stdout, or leave it out", "%q is no place to take items from", items)
	}
	for _, key := range slices.Sorted(maps.Keys(in.keys)) {
		if right := nearMisses[key]; right != "" && in.keys[right] == nil {
			in.mistake(key, "did you mean "+right+"?", "is no key of exec")
		}
	}
	if p.grace == 0 {
		p.grace = 10 * time.Second
	}
	return p, in.wrong
}
