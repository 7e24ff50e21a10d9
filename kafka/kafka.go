// Package kafka sends messages to Apache Kafka and reads them, as a [Publisher] and a [Source]
// over franz-go.
//
// A source's positions are kept where what was read is kept: it asks its Claim, for a group's
// share of partitions, where to go on, and whoever reads moves the positions in the transaction
// that keeps what it read. Kafka's own offsets are written as well, for tools that show lag, and
// are read only where there is no Claim.
//
// Names of topics and groups are without [Config.Prefix] everywhere but on the wire.
package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// A Config says how to reach Kafka. Brokers is required.
type Config struct {
	Brokers []string // host:port; any one of them is enough to find the others
	TLS     *TLS     // nil: not encrypted
	SASL    *SASL    // nil: no login
	// Compression of what is sent: none (or ""), gzip, snappy, lz4 or zstd. All are read.
	Compression string
	// Prefix is put before the names of topics and groups, for clusters that are shared.
	Prefix string
	// Timeout ends a Publish that is not confirmed, and an Open that reaches no broker; 0 means
	// 10s.
	Timeout time.Duration
	// A member of a group sends a heartbeat every Heartbeat (0 means 3s), is taken for dead
	// after Session without one (10s), and may take Rebalance to settle what it holds before
	// its partitions go to others without it (30s).
	Session, Heartbeat, Rebalance time.Duration

	Log   *slog.Logger // nil discards
	Meter Meter        // nil counts nothing
	// Dialer replaces net.Dialer where it is set.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
}

// SASL is a login.
type SASL struct {
	Mechanism      string // plain, scram-sha-256 or scram-sha-512
	User, Password string
}

// Check reports all that is wrong with the Config, the files that it names included.
func (c Config) Check() error {
	_, err := c.options()
	return err
}

// withDefaults returns c with nothing left open.
func (c Config) withDefaults() Config {
	c.Timeout = cmp.Or(c.Timeout, 10*time.Second)
	c.Session = cmp.Or(c.Session, 10*time.Second)
	c.Heartbeat = cmp.Or(c.Heartbeat, 3*time.Second)
	c.Rebalance = cmp.Or(c.Rebalance, 30*time.Second)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Meter == nil {
		c.Meter = noMeter{}
	}
	return c
}

// options returns what all clients have in common.
func (c Config) options() ([]kgo.Opt, error) {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Brokers...),
		kgo.ClientID("vedette"),
		kgo.DisableClientMetrics(),
		kgo.DialTimeout(c.withDefaults().Timeout),
	}
	if c.Log != nil {
		opts = append(opts, kgo.WithLogger(logger{c.Log}))
	}
	connect, err1 := c.connecting()
	login, err2 := c.SASL.mechanism()
	if login != nil {
		opts = append(opts, kgo.SASL(login))
	}
	_, err3 := c.codec()
	if err := errors.Join(c.checkBrokers(), err1, err2, err3); err != nil {
		return nil, err
	}
	return append(opts, connect...), nil
}

func (c Config) checkBrokers() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("no Kafka broker is named"))
	}
	for _, b := range c.Brokers {
		if host, port, err := net.SplitHostPort(b); err != nil || host == "" || port == "" {
			errs = append(errs, fmt.Errorf("Kafka broker %q: want host:port", b)) //nolint:staticcheck // a name
		}
	}
	return errors.Join(errs...)
}

// connecting returns the options of how to dial. A Dialer of the Config's own cannot be combined
// with the client's TLS, so it is wrapped.
func (c Config) connecting() ([]kgo.Opt, error) {
	secure, err := c.TLS.config()
	switch {
	case err != nil:
		return nil, err
	case c.Dialer != nil && secure != nil:
		return []kgo.Opt{kgo.Dialer(overTLS(c.Dialer, secure))}, nil
	case c.Dialer != nil:
		return []kgo.Opt{kgo.Dialer(c.Dialer)}, nil
	case secure != nil:
		return []kgo.Opt{kgo.DialTLSConfig(secure)}, nil
	}
	return nil, nil
}

func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if s == nil {
		return nil, nil
	}
	if s.User == "" {
		return nil, errors.New("SASL login for Kafka: no user is named")
	}
	auth := scram.Auth{User: s.User, Pass: s.Password}
	switch strings.ToLower(s.Mechanism) {
	case "plain":
		return plain.Auth{User: s.User, Pass: s.Password}.AsMechanism(), nil
	case "scram-sha-256":
		return auth.AsSha256Mechanism(), nil
	case "scram-sha-512":
		return auth.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("SASL mechanism %q is not known: want plain, scram-sha-256 or scram-sha-512", s.Mechanism)
}

func (c Config) codec() (kgo.CompressionCodec, error) {
	switch c.Compression {
	case "", "none":
		return kgo.NoCompression(), nil
	case "gzip":
		return kgo.GzipCompression(), nil
	case "snappy":
		return kgo.SnappyCompression(), nil
	case "lz4":
		return kgo.Lz4Compression(), nil
	case "zstd":
		return kgo.ZstdCompression(), nil
	}
	return kgo.NoCompression(), fmt.Errorf("compression %q is not known: want none, gzip, snappy, lz4 or zstd", c.Compression)
}
