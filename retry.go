package vedette

import (
	"errors"
	"time"
)

// ErrPermanent is what a Handler's error is when trying again will not help; see [Permanent].
var ErrPermanent = errors.New("not to be tried again")

// Permanent returns err as one that ends its Job as failed, whatever attempts are left. It
// wraps err and ErrPermanent, and reads as err; nil stays nil.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return permanent{err}
}

type permanent struct{ error }

func (p permanent) Unwrap() []error { return []error{p.error, ErrPermanent} }

// A RetryError says when the next attempt is to be made; see [RetryAfter].
type RetryError struct {
	Err   error
	After time.Duration // from now
}

func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *RetryError) Unwrap() error { return e.Err }

// RetryAfter returns err as one after which the Job is tried again in d, and not when its
// back-off says. The attempt counts: where it was the last one, the Job is dead. It reads as
// err; nil stays nil.
func RetryAfter(d time.Duration, err error) error {
	if err == nil {
		return nil
	}
	return &RetryError{err, max(d, 0)}
}
