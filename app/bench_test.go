package app_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/manifest"
)

// BenchmarkLoad10000 reads a file of 10,000 monitors, as each reload does.
func BenchmarkLoad10000(b *testing.B) {
	var text strings.Builder
	text.WriteString("store: 'memory:'\nmonitors:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  - {name: m%d, url: http://127.0.0.1:8000/}\n", i)
	}
	checker, err := check.New(check.Config{})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := manifest.Parse("x.yaml", []byte(text.String()), manifest.Options{Env: os.LookupEnv, Checker: checker}); err != nil {
			b.Fatal(err)
		}
	}
}
