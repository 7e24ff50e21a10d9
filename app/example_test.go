package app_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/app"
)

// A program that watches a site and hears of its incidents.
func Example() {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	defer site.Close()

	a, err := app.New(app.Config{}) // in memory; Store: "sqlite:sites.db" keeps it
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	a.OnIncident(func(in vedette.Incident) {
		fmt.Println(in.Monitor, "is down:", in.Cause.Message)
		stop()
	})
	err = a.Watch(ctx, vedette.Monitor{
		ID: "shop", URL: site.URL, Interval: time.Second, // which is its time-out, too
		Confirm: vedette.Confirm{Down: 2, Up: 2},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := a.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: shop is down: status is 503, want 200-299
}

// The handler can be mounted in a program's own server.
func ExampleApp_Handler() {
	a, err := app.New(app.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer a.Close() //nolint:errcheck // in memory
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/healthz", http.NoBody))
	fmt.Print(w.Body.String())
	// Output: ok
}

// A program with a handler of its own, which a scraper names.
func ExampleApp_Handle() {
	a, err := app.New(app.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	a.Handle("greet", vedette.HandlerFunc(func(_ context.Context, t *vedette.Task) (string, error) {
		fmt.Println("greetings from", t.Job.Scraper)
		stop()
		return "greeted", nil
	}))
	err = a.Scrape(ctx, vedette.Scraper{
		ID: "greeter", Schedule: vedette.Schedule{At: []time.Time{time.Now().Add(time.Second)}}, Job: vedette.Job{Handler: "greet"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := a.Run(ctx); err != nil {
		fmt.Println(err)
	}
	// Output: greetings from greeter
}
