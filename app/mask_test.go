package app_test

import (
	"testing"

	"github.com/vedettehq/vedette/app"
)

func TestMaskURLHidesEveryPassword(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite:vedette.db":                                "sqlite:vedette.db",
		"postgres://h/d":                                   "postgres://h/d",
		"postgres://u:hunter2@h/d?sslmode=disable":         "postgres://u:xxxxx@h/d?sslmode=disable",
		"postgres://u@h/d?password=hunter2&sslmode=prefer": "postgres://u@h/d?password=xxxxx&sslmode=prefer",
		"postgres://u@h/d?a=b&sslpassword=hunter2":         "postgres://u@h/d?a=b&sslpassword=xxxxx",
	} {
		if got := app.MaskURL(url); got != want {
			t.Errorf("%s: got %s, want %s", url, got, want)
		}
	}
}
