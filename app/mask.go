package app

import (
	"net/url"
	"regexp"
	"strings"
)

// MaskURL hides the passwords of a URL, in its user as well as in its settings.
func MaskURL(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.User != nil {
		raw = u.Redacted()
	}
	if !strings.Contains(raw, "password=") {
		return raw
	}
	return regexp.MustCompile(`([?&](?:ssl)?password=)[^&#]*`).ReplaceAllString(raw, "${1}xxxxx")
}
