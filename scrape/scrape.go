// Package scrape holds the handlers that every worker has: exec runs a program, http fetches a
// URL, and check looks at a monitor now.
//
// What a program must know of its run it finds in its environment, and what it says on its
// standard output and standard error becomes items, state, result and log. exec.go begins a
// program and says how it ended, process_*.go hold what the systems do differently, output.go
// reads what a program says. client.go keeps http out of where it must not go.
package scrape

import "github.com/vedettehq/vedette"

// Mistakes returns what is wrong with the params of a built-in handler, with paths inside them. It
// knows nothing of other handlers, and returns nil for them.
func Mistakes(handler string, params vedette.Raw) vedette.Mistakes {
	switch handler {
	case "exec":
		_, wrong := parseProgram(params)
		return wrong
	case "http":
		_, wrong := parseFetch(params)
		return wrong
	case "check":
		_, wrong := parseLook(params)
		return wrong
	}
	return nil
}
