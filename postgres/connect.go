package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// prefix begins the application_name of connections that write. Whoever carries it may be ended
// by another process of ours that waits for it, so readers carry another.
const prefix = "vedette "

// config reads a URL. What it sets itself, the URL may set otherwise, but for the name.
func config(text string, o Options) (*pgxpool.Config, error) {
	if rest, _, _ := strings.Cut(text, "?"); strings.Count(rest, "@") > 1 {
		return nil, errors.New("open store: there is more than one @ in the URL: in a password, write it as %40")
	}
	cfg, err := pgxpool.ParseConfig(text)
	if err != nil {
		return nil, errors.New(hide(text, "open store: "+err.Error()) +
			": want postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	if !strings.Contains(text, "pool_max_conns") {
		cfg.MaxConns = int32(max(16, 2*runtime.NumCPU())) //nolint:gosec // a few
	}
	cc := cfg.ConnConfig
	cc.ConnectTimeout = cmp.Or(cc.ConnectTimeout, 5*time.Second)
	// A server that vanished without a word is noticed within half a minute.
	dialer := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	cc.DialFunc = dialer.DialContext
	owner := cmp.Or(o.Owner, strconv.Itoa(os.Getpid()))
	settings := map[string]string{
		// A process that was stopped in a transaction holds its locks for so long.
		"idle_in_transaction_session_timeout": "3s",
		// Chunks of a stream are routed by plans that never last; compiling them does not pay.
		"jit": "off",
	}
	cc.RuntimeParams["application_name"] = prefix + owner
	if o.ReadOnly {
		settings["default_transaction_read_only"] = "on"
		cc.RuntimeParams["application_name"] = "vedette-reader " + owner
	}
	for name, value := range settings {
		cc.RuntimeParams[name] = cmp.Or(cc.RuntimeParams[name], value)
	}
	return cfg, nil
}

// hide takes the password of a URL out of what is said of it.
func hide(text, said string) string {
	u, err := url.Parse(text)
	if err != nil || u.User == nil {
		if strings.Contains(text, "@") || strings.Contains(text, "password") {
			return "open store: the URL cannot be read"
		}
		return said
	}
	password, _ := u.User.Password()
	if password == "" {
		return said
	}
	for _, form := range []string{password, url.QueryEscape(password), url.PathEscape(password)} {
		said = strings.ReplaceAll(said, form, "xxxxx")
	}
	return said
}

// explain says which server did not answer and what to check.
func explain(cfg *pgx.ConnConfig, err error) error {
	if connect := (*pgconn.ConnectError)(nil); errors.As(err, &connect) {
		err = connect.Unwrap()
	} else if codeOf(err) != "" {
		return fmt.Errorf("store %s: %w", where(cfg), err)
	}
	if advice := advise(cfg, err); advice != "" {
		return fmt.Errorf("store %s: %w: %s", where(cfg), oneLine{err}, advice)
	}
	return fmt.Errorf("store %s: %w", where(cfg), oneLine{err})
}

// A oneLine says what was tried at each address once, in one line.
type oneLine struct{ error }

func (e oneLine) Unwrap() error { return e.error }

func (e oneLine) Error() string {
	var says []string
	for line := range strings.Lines(e.error.Error()) {
		line = strings.TrimSpace(line)
		if !slices.ContainsFunc(says, func(said string) bool { return strings.Contains(said, line) }) {
			says = append(says, line)
		}
	}
	return strings.Join(says, "; ")
}

// where names a database without its password.
func where(cfg *pgx.ConnConfig) string {
	host := net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port)))
	return fmt.Sprintf("postgres://%s/%s", host, cfg.Database)
}

func advise(cfg *pgx.ConnConfig, err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch code := codeOf(err); {
	case code == "28P01", code == "28000":
		return fmt.Sprintf("check the user %q and its password, in the URL or ~/.pgpass, and the server's pg_hba.conf", cfg.User)
	case code == "3D000":
		return fmt.Sprintf("make the database once: createdb %s", cfg.Database)
	case code == "53300":
		return "raise the server's max_connections, or lower pool_max_conns in the URL"
	case strings.Contains(err.Error(), "server refused TLS"):
		return "turn ssl on at the server, or write sslmode=disable where nobody can listen in"
	case errors.As(err, &dns):
		return "check the host's name"
	case errors.As(err, &op):
		return "check host and port, and that PostgreSQL runs there and listens on that address"
	}
	return ""
}
