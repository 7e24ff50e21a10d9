package manifest

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// checkStore says what is wrong with the address of a store, or "".
func checkStore(store string) string {
	kind, path, _ := strings.Cut(store, ":")
	switch {
	case kind == "memory" && path == "":
		return ""
	case kind == "sqlite" && path != "":
		return ""
	case kind == "sqlite":
		return "the path of the file is missing"
	}
	return fmt.Sprintf("%q is no store", store)
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
	if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		return fmt.Sprintf("%q is no port", port)
	}
	return ""
}
