package worker_test

import (
	"context"
	"fmt"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/memory"
	"github.com/vedettehq/vedette/worker"
)

func Example() {
	store := memory.New()
	ctx, stop := context.WithCancel(context.Background())
	greet := func(_ context.Context, t *vedette.Task) (string, error) {
		stop()
		return fmt.Sprintf("hello %s", t.Job.Params), nil
	}
	w, err := worker.New(worker.Config{
		Queue: store.Queue(), Feed: store.Feed(), KV: store.KV(), Owner: "a-random-id",
		Handlers: map[string]vedette.Handler{"greet": vedette.HandlerFunc(greet)},
	})
	if err != nil {
		panic(err)
	}
	job := vedette.Job{ID: vedette.NewID(time.Now()), Handler: "greet", Params: vedette.Raw(`"you"`)}
	if _, err := store.Jobs().Push(ctx, job); err != nil {
		panic(err)
	}
	if err := w.Run(ctx); err != nil {
		panic(err)
	}
	job, err = store.Jobs().Get(context.Background(), job.ID)
	fmt.Println(job.State, job.Result, err)
	// Output: succeeded hello "you" <nil>
}
