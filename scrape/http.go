package scrape

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/egress"
)

const (
	// defaultBody is how much of a response is read unless max_bytes says otherwise.
	defaultBody = 10 << 20
	// longestWait bounds what a Retry-After may ask for.
	longestWait = time.Hour
)

// A fetch is what the params of http say.
type fetch struct {
	url, method, body string
	headers           map[string]string
	expect            []int // none is below 400
	most              int64
}

func parseFetch(raw vedette.Raw) (fetch, vedette.Mistakes) {
	in := readParams(raw)
	f := fetch{
		url:    in.required("url", "name the URL, as in https://example.org/"),
		method: strings.ToUpper(in.text("method")), body: in.text("body"), headers: in.table("headers"),
		most: cmp.Or(in.size("max_bytes"), defaultBody),
	}
	in.get("expect_status", &f.expect, "write a list of numbers, as in [200, 204]")
	u, err := url.Parse(f.url)
	if f.url != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
		in.mistake("url", "write it whole, as in https://example.org/", "%q is no http or https URL", maskURL(f.url))
	}
	if strings.ContainsFunc(f.method, func(r rune) bool { return r < 'A' || r > 'Z' }) {
		in.mistake("method", "write GET, POST or the like", "%q is no method", f.method)
	}
	for i, code := range f.expect {
		if code < 100 || code > 999 {
			in.mistake(fmt.Sprintf("expect_status[%d]", i), "", "%d is no status", code)
		}
	}
	in.only("url", "method", "headers", "body", "expect_status", "max_bytes")
	return f, in.wrong
}

// HTTP returns the handler "http", which fetches a URL by c; nil is a [Client] that keeps out of
// [egress.Metadata]. Its params:
//
//	url            required
//	method         GET unless given
//	headers        an object
//	body           a text
//	expect_status  a list of those that are well; else all below 400 are
//	max_bytes      how much of the response to read, 10MiB unless given
//
// The result reads "200 OK, 5120 bytes in 123ms". Another status is an attempt that failed; after
// a 429 or 503 with Retry-After the next one is made then, within an hour. A URL that leads where
// it must not ends the job.
func HTTP(c *http.Client) vedette.Handler {
	if c == nil {
		c = Client(egress.Metadata())
	}
	return vedette.HandlerFunc(func(ctx context.Context, t *vedette.Task) (string, error) {
		f, wrong := parseFetch(t.Job.Params)
		if err := wrong.Err(); err != nil {
			return "", vedette.Permanent(fmt.Errorf("params of http: %w", err))
		}
		return f.run(ctx, c)
	})
}

func (f fetch) run(ctx context.Context, c *http.Client) (string, error) {
	req, err := http.NewRequestWithContext(ctx, cmp.Or(f.method, http.MethodGet), f.url, strings.NewReader(f.body))
	if err != nil {
		return "", vedette.Permanent(discreet(err))
	}
	for name, value := range f.headers {
		req.Header.Set(name, value)
		if strings.EqualFold(name, "host") {
			req.Host = value
		}
	}
	began := time.Now()
	res, err := c.Do(req)
	if _, forbidden := errors.AsType[*egress.ForbiddenError](err); forbidden {
		return "", vedette.Permanent(discreet(err))
	}
	if err != nil {
		return "", discreet(err)
	}
	defer res.Body.Close() //nolint:errcheck // it was only read
	n, err := io.Copy(io.Discard, io.LimitReader(res.Body, f.most+1))
	if err != nil {
		return "", fmt.Errorf("%s, and the response breaks off after %d bytes: %w", res.Status, n, err)
	}
	size := fmt.Sprintf("%d bytes", n)
	if n > f.most {
		size = fmt.Sprintf("more than %d bytes", f.most)
	}
	result := fmt.Sprintf("%s, %s in %v", res.Status, size, time.Since(began).Round(time.Millisecond))
	return result, f.judge(res, result)
}

// judge returns why a response is not a wanted one, or nil.
func (f fetch) judge(res *http.Response, result string) error {
	if slices.Contains(f.expect, res.StatusCode) || len(f.expect) == 0 && res.StatusCode < 400 {
		return nil
	}
	err := errors.New(result)
	if len(f.expect) > 0 {
		err = fmt.Errorf("%s: want status %s", result, strings.Trim(fmt.Sprint(f.expect), "[]"))
	}
	if res.StatusCode != http.StatusTooManyRequests && res.StatusCode != http.StatusServiceUnavailable {
		return err
	}
	if d, ok := retryAfter(res.Header); ok {
		return vedette.RetryAfter(d, err)
	}
	return err
}

// retryAfter reads a Retry-After, in seconds or as a date by the clock of the server.
func retryAfter(h http.Header) (time.Duration, bool) {
	value := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, longestWait), seconds > 0
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0, false
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		now = time.Now()
	}
	d := at.Sub(now)
	return min(d, longestWait), d > 0
}
