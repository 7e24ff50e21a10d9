package check_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
)

func ExampleLook() {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"queue": 5120}`)
	}))
	defer site.Close()

	result, err := check.Look(context.Background(), vedette.Monitor{
		URL:   site.URL,
		Probe: vedette.Raw(`{"expect": ["json(\"$.queue\") < 1000"]}`),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(result.State, result.Code)
	fmt.Println(result.Failure.Message)
	// Output:
	// down 200
	// json("$.queue") < 1000 is false: json("$.queue") = 5120
}
