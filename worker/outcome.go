package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vedettehq/vedette"
)

const (
	maxResult = 16 << 10 // bytes of a result that are kept,
	maxError  = 16 << 10 // of an error,
	maxStack  = 8 << 10  // and of the stack in it
	// longestBackoff bounds what doubling makes of a Job's RetryAfter.
	longestBackoff = time.Hour
)

// errEnded is what became of a handler that called runtime.Goexit.
var errEnded = errors.New("the handler ended its goroutine")

// outcome says what follows from what a handler returned. Whoever returns no error has
// succeeded, also if it was told to end meanwhile.
func outcome(r *run, result string, err error) vedette.End {
	e := vedette.End{Ref: r.job.Ref(), Result: text(result, maxResult)}
	if err == nil {
		e.State = vedette.JobSucceeded
		return e
	}
	cause := context.Cause(r.ctx)
	e.Error = text(reason(err, cause), maxError)
	again, when := errors.AsType[*vedette.RetryError](err)
	switch {
	case errors.Is(cause, ErrCancelled):
		e.State = vedette.JobCancelled
	case errors.Is(cause, ErrStopped):
		return vedette.End{Ref: e.Ref, State: vedette.JobPending}
	case errors.Is(err, vedette.ErrPermanent):
		e.State = vedette.JobFailed
	case r.job.Attempt >= r.job.MaxAttempts:
		e.State = vedette.JobDead
	case when:
		e.State, e.RunAt = vedette.JobRetrying, r.now().Add(again.After)
	default:
		e.State, e.RunAt = vedette.JobRetrying, r.now().Add(backoff(r.job))
	}
	return e
}

// reason reads as why the ctx ended and what the handler said to it, each once.
func reason(err, cause error) string {
	switch {
	case cause == nil, errors.Is(err, cause):
		return err.Error()
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return cause.Error()
	}
	return fmt.Sprintf("%v: %v", cause, err)
}

// backoff is how long to wait after an attempt of j: its RetryAfter, or a second, doubled with
// each attempt up to an hour, and up to a tenth longer, so that those who failed together do not
// come back together.
func backoff(j vedette.Job) time.Duration {
	d := j.RetryAfter
	if d <= 0 {
		d = time.Second
	}
	for n := 1; n < j.Attempt && d < longestBackoff; n++ {
		d = min(2*d, longestBackoff)
	}
	return d + rand.N(d/10+1)
}

// text returns s as every store takes it: in UTF-8, without zero bytes, and of at most n bytes
// and a note of the cut.
func text(s string, n int) string {
	all := len(s)
	if all > n {
		for s = s[:n]; len(s) > 0 && !utf8.RuneStart(s[len(s)-1]); {
			s = s[:len(s)-1]
		}
		if r, size := utf8.DecodeLastRuneInString(s); r == utf8.RuneError && size == 1 {
			s = s[:len(s)-1]
		}
		s = fmt.Sprintf("%s… (cut, %d bytes in all)", s, all)
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
