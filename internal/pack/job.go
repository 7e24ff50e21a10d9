package pack

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/vedettehq/vedette"
)

// A job's body is what whoever pushed it said, which never changes: the number of the layout,
// flags (1 fired), strings, numbers, then the times. Attempts are each: epoch, owner, start, end,
// state, error.

const jobLayout = 1

// jobStates numbers the states; the numbers are stored.
func jobStates() []vedette.JobState {
	return []vedette.JobState{
		"", vedette.JobScheduled, vedette.JobPending, vedette.JobStarted, vedette.JobRetrying,
		vedette.JobSucceeded, vedette.JobFailed, vedette.JobDead, vedette.JobCancelled,
	}
}

// JobStateNum returns the number that s is stored as, or -1 if there is no such state.
func JobStateNum(s vedette.JobState) int64 { return int64(slices.Index(jobStates(), s)) }

// JobStateOf returns the state of a stored number, or "" if there is none of this number.
func JobStateOf(n int64) vedette.JobState {
	if all := jobStates(); n >= 0 && n < int64(len(all)) {
		return all[n]
	}
	return ""
}

// AppendJob appends the body of j: what never changes, and CreatedAt, without the ID.
func AppendJob(b []byte, j *vedette.Job) []byte {
	flags := byte(0)
	if j.Fired {
		flags = 1
	}
	b = append(b, jobLayout, flags)
	for _, s := range []string{
		string(j.Scraper), j.Handler, string(j.Params), j.Queue, j.Unique, j.UniqueWaiting, j.LimitKey, j.RateKey,
	} {
		b = appendString(b, s)
	}
	b = binary.AppendVarint(b, int64(j.Priority))
	return appendInts(b,
		Micros(j.FireAt), Micros(j.CreatedAt), int64(j.Timeout), int64(j.RetryAfter), int64(j.RateEvery),
		int64(j.MaxAttempts), int64(j.Keep), int64(j.Limit), int64(j.RateBurst))
}

// Job fills j from the body that data is.
func Job(data []byte, j *vedette.Job) error {
	b := body{rest: data}
	if head := b.bytes(2); len(head) == 2 {
		if head[0] != jobLayout {
			b.fail()
		}
		j.Fired = head[1] == 1
	}
	j.Scraper, j.Handler = vedette.ScraperID(b.string()), b.string()
	if params := b.bytes(b.int()); len(params) > 0 {
		j.Params = slices.Clone(params)
	}
	j.Queue, j.Unique, j.UniqueWaiting, j.LimitKey, j.RateKey = b.string(), b.string(), b.string(), b.string(), b.string()
	j.Priority = int(b.signed())
	j.FireAt, j.CreatedAt = b.time(), b.time()
	j.Timeout, j.RetryAfter, j.RateEvery = time.Duration(b.int()), time.Duration(b.int()), time.Duration(b.int())
	j.MaxAttempts, j.Keep, j.Limit, j.RateBurst = int(b.int()), int(b.int()), int(b.int()), int(b.int())
	return b.err
}

// AppendAttempts appends attempts.
func AppendAttempts(b []byte, all ...vedette.Attempt) []byte {
	for i := range all {
		a := &all[i]
		b = appendString(appendInts(b, a.Epoch), a.Owner)
		b = appendInts(b, Micros(a.StartedAt), Micros(a.FinishedAt), JobStateNum(a.State))
		b = appendString(b, a.Error)
	}
	return b
}

// Attempts reads what AppendAttempts wrote, in one call or several.
func Attempts(data []byte) ([]vedette.Attempt, error) {
	b := body{rest: data}
	var all []vedette.Attempt
	for len(b.rest) > 0 {
		a := vedette.Attempt{Epoch: b.int(), Owner: b.string(), StartedAt: b.time(), FinishedAt: b.time()}
		a.State, a.Error = JobStateOf(b.int()), b.string()
		all = append(all, a)
	}
	return all, b.err
}
