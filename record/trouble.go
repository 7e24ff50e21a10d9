package record

import (
	"context"
	"log/slog"
)

// A trouble is work that may fail again and again, as it does while a disk is full. The log
// tells of it once, until it has worked again.
type trouble struct {
	doing string
	log   *slog.Logger
	told  bool
}

// note takes how the work went this time. What fails because ctx has ended is no trouble.
func (t *trouble) note(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err != nil && !t.told:
		t.told = true
		t.log.Warn(t.doing+" fails, trying again", "err", err)
	case err == nil && t.told:
		t.told = false
		t.log.Info(t.doing + " works again")
	}
}
