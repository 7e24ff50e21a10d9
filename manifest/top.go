package manifest

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

const wantStore = "want memory, sqlite:PATH or postgres://USER:PASSWORD@HOST:PORT/DATABASE"

// checkStore says what is wrong with the address of a store, or "". It does not repeat an
// address that may hold a password.
func checkStore(store string) string {
	kind, path, _ := strings.Cut(store, ":")
	switch {
	case kind == "memory" && path == "":
		return ""
	case kind == "sqlite" && path != "":
		return ""
	case kind == "sqlite":
		return "the path of the file is missing"
	case kind == "postgres" || kind == "postgresql":
		return checkPostgres(store)
	case kind == "redis" || kind == "rediss":
		return checkRedis(store)
	}
	return fmt.Sprintf("%q is no store", hidePassword(store))
}

func checkPostgres(store string) string {
	u, err := url.Parse(store)
	rest, _, _ := strings.Cut(store, "?")
	switch {
	case strings.Count(rest, "@") > 1: // what reads the address later may take the first for the last
		return "there is more than one @: in a password, write it as %40"
	case err != nil && strings.Contains(store, "@"):
		return "the address cannot be read: in a password, write % and what is special in URLs (: / ? # @ [ ]) as %XX"
	case err != nil:
		return "the address cannot be read"
	case u.Hostname() == "":
		return "the host of the database is missing"
	case strings.Trim(u.Path, "/") == "":
		return "the name of the database is missing"
	case strings.Contains(strings.Trim(u.Path, "/"), "/"):
		return fmt.Sprintf("%q is no name of a database", strings.TrimPrefix(u.Path, "/"))
	case u.Port() != "" && !isPort(u.Port(), 1):
		return fmt.Sprintf("%q is no port", u.Port())
	case u.Fragment != "":
		return "what follows # is lost: in a password, write it as %23"
	}
	return ""
}

func checkRedis(store string) string {
	u, err := url.Parse(store)
	switch {
	case err != nil:
		return "the address cannot be read: in a password, write % and what is special in URLs (: / ? # @ [ ]) as %XX"
	case u.Hostname() == "":
		return "the host of Redis is missing"
	case u.Port() != "" && !isPort(u.Port(), 1):
		return fmt.Sprintf("%q is no port", u.Port())
	}
	return ""
}

// isRemote reports whether a store is another machine's, perhaps, and may be away.
func isRemote(store string) bool {
	return strings.HasPrefix(store, "postgres://") || strings.HasPrefix(store, "postgresql://")
}

// hidePassword hides the passwords in an address of a store.
func hidePassword(store string) string {
	return regexp.MustCompile(`([?&](?:ssl)?password=)[^&#]*`).ReplaceAllString(withoutPassword(store), "$1***")
}

// checkListen says what is wrong with an address to listen on, or "".
func checkListen(addr string) string {
	if addr == "" {
		return ""
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Sprintf("%q is no address", addr)
	}
	if !isPort(port, 0) {
		return fmt.Sprintf("%q is no port", port)
	}
	return ""
}

func isPort(text string, least int) bool {
	n, err := strconv.Atoi(text)
	return err == nil && n >= least && n <= 65535
}
