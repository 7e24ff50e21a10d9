package kafka

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/internal/retry"
)

// A Registry is a client of a schema registry (Confluent's API). It is safe for concurrent use.
type Registry struct{ cl *sr.Client }

// registryTries is how often a registry that cannot answer is asked.
const registryTries = 4

// NewRegistry reads http[s]://[user:password@]host[:port][/path]. A nil client means one of its
// own, with a time-out of 10s a request.
func NewRegistry(rawURL string, c *http.Client) (*Registry, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		// The text may hold a password, and so may url's error.
		return nil, errors.New("the URL of the schema registry is no http:// or https:// URL")
	}
	if c == nil {
		c = &http.Client{Timeout: 10 * time.Second}
	}
	opts := []sr.ClientOpt{sr.HTTPClient(c), sr.UserAgent("vedette")}
	if u.User != nil {
		password, _ := u.User.Password()
		opts = append(opts, sr.BasicAuth(u.User.Username(), password))
		u.User = nil
	}
	cl, err := sr.NewClient(append(opts, sr.URLs(u.String()))...)
	if err != nil {
		return nil, fmt.Errorf("open schema registry: %w", err)
	}
	return &Registry{cl}, nil
}

// Register makes the Avro schema known under the subject and returns its id; one that is known
// keeps its id. It reports what the registry says of one that it does not take.
func (r *Registry) Register(ctx context.Context, subject, schema string) (id int, err error) {
	err = r.try(ctx, func() (err error) {
		id, err = r.cl.RegisterSchema(ctx, subject, sr.Schema{Schema: schema, Type: sr.TypeAvro}, -1, -1)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("register schema of %s: %w", subject, err)
	}
	return id, nil
}

// Schema returns the text of the Avro schema of that id. It reports ErrNotFound where there is none,
// or one that is not Avro.
func (r *Registry) Schema(ctx context.Context, id int) (string, error) {
	var s sr.Schema
	err := r.try(ctx, func() (err error) {
		s, err = r.cl.SchemaByID(ctx, id)
		return err
	})
	switch {
	case isMissing(err):
		return "", fmt.Errorf("ask for schema %d: %w: %w", id, vedette.ErrNotFound, err)
	case err != nil:
		return "", fmt.Errorf("ask for schema %d: %w", id, err)
	case s.Type != sr.TypeAvro:
		return "", fmt.Errorf("schema %d is %s, want Avro: %w", id, s.Type, vedette.ErrNotFound)
	}
	return s.Schema, nil
}

// isMissing says whether the registry knows no schema of that id: some call it a bad request. What an
// operator can put right, such as a login, is not that.
func isMissing(err error) bool {
	var said *sr.ResponseError
	if !errors.As(err, &said) {
		return false
	}
	switch said.StatusCode {
	case http.StatusNotFound, http.StatusBadRequest, http.StatusUnprocessableEntity:
		return true
	}
	return false
}

// try repeats what failed for reasons that pass: no answer, or an answer of the 500s or 429.
func (r *Registry) try(ctx context.Context, ask func() error) error {
	wait := retry.Backoff{Min: 100 * time.Millisecond, Max: 2 * time.Second}
	for n := 1; ; n++ {
		err := ask()
		var said *sr.ResponseError
		answered := errors.As(err, &said) && said.StatusCode < 500 && said.StatusCode != http.StatusTooManyRequests
		if err == nil || answered || n == registryTries || wait.Wait(ctx) != nil {
			return err
		}
	}
}
