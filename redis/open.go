package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

// oldest is the first version whose scripts may say what they need of the server.
const oldest = 7

// layout is the number of how things are kept; a later version changes it when older ones cannot read
// what it writes.
const layout = "1"

// Options say how to open a Store.
type Options struct {
	ReadOnly bool         // all changes are refused with ErrReadOnly
	Log      *slog.Logger // nil discards
}

// Open connects to the server of a URL like redis://user:password@host:6379/0?prefix=vedette; with
// rediss it does so by TLS. Other parameters are those of the client, such as dial_timeout=5s. It refuses
// a server that may lose or evict what it keeps, and says what to set.
func Open(ctx context.Context, text string, o Options) (*Store, error) {
	opt, prefix, err := parse(text)
	if err != nil {
		return nil, err
	}
	redis.SetLogger(silent{})
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	s := newStore(redis.NewClient(opt), prefix, o)
	if err := s.check(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open redis at %s: %w", opt.Addr, err), s.Close())
	}
	return s, nil
}

// silent keeps the client from writing to the standard error of its program: what it would say there is
// returned as errors, too.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// parse reads a URL. Nothing is tried twice: a claim whose answer was lost has taken jobs, which the
// owner's next beats give back, and a change by version would contradict itself.
func parse(text string) (*redis.Options, string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, "", errors.New("redis URL cannot be read; want redis://host:6379/0?prefix=vedette")
	}
	q := u.Query()
	prefix := cmp.Or(q.Get("prefix"), "vedette")
	q.Del("prefix")
	u.RawQuery = q.Encode()
	opt, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, "", fmt.Errorf("redis URL: %w", err)
	}
	opt.MaxRetries, opt.DialerRetries = -1, 1
	opt.ContextTimeoutEnabled = true
	opt.DisableIdentity = true
	opt.Protocol = 2
	return opt, prefix, nil
}

// check refuses a server that does not keep what it is given.
func (s *Store) check(ctx context.Context) error {
	text, err := s.db.Info(ctx).Result()
	if err != nil {
		return fmt.Errorf("ask for INFO, which says whether the server keeps what it is given: %w", err)
	}
	info := map[string]string{}
	for line := range strings.SplitSeq(text, "\r\n") {
		if key, value, found := strings.Cut(line, ":"); found {
			info[key] = value
		}
	}
	if err := refuse(info); err != nil {
		return err
	}
	if sync, err := s.db.ConfigGet(ctx, "appendfsync").Result(); err == nil && sync["appendfsync"] != "always" {
		s.log.Warn("redis may lose its last writes when its machine fails; appendfsync always would keep them",
			"appendfsync", sync["appendfsync"], "window", window(sync["appendfsync"]))
	}
	return s.checkLayout(ctx)
}

// refuse says what is wrong with a server.
func refuse(info map[string]string) error {
	version := info["redis_version"]
	major, _, _ := strings.Cut(version, ".")
	switch n, _ := strconv.Atoi(major); {
	case n < oldest:
		return fmt.Errorf("version %q: want %d.0 or later", version, oldest)
	case info["redis_mode"] != "standalone":
		return fmt.Errorf("redis_mode %s: want one server, not a cluster or a sentinel, since a job and its queue change together", info["redis_mode"])
	case info["role"] != "master":
		return fmt.Errorf("it is a replica of %s:%s: name that one", info["master_host"], info["master_port"])
	case info["maxmemory_policy"] != "noeviction":
		return fmt.Errorf("maxmemory-policy %s would evict jobs: set it to noeviction", info["maxmemory_policy"])
	case info["aof_enabled"] != "1":
		return errors.New("a restart would lose jobs: set appendonly yes")
	}
	return nil
}

// window says how much an fsync policy may lose.
func window(policy string) string {
	if policy == "everysec" {
		return "about a second, two at worst"
	}
	return "what the operating system has not written yet, some 30 s"
}

// checkLayout marks a new store, and refuses one of another version.
func (s *Store) checkLayout(ctx context.Context) error {
	key := s.prefix + ":layout"
	if !s.readOnly {
		if err := s.db.SetArgs(ctx, key, layout, redis.SetArgs{Mode: "NX"}).Err(); err != nil && !errors.Is(err, redis.Nil) {
			return fmt.Errorf("mark the store: %w", err)
		}
	}
	got, err := s.db.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) && s.readOnly {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the layout of the store: %w", err)
	}
	if got != layout {
		return fmt.Errorf("keys of prefix %q have layout %q, want %q: another version of Vedette wrote them", s.prefix, got, layout)
	}
	return nil
}
