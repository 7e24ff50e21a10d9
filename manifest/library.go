package manifest

import (
	"fmt"
	"io"

	"github.com/goccy/go-yaml"

	"github.com/vedettehq/vedette"
)

// ID makes the id that a monitor of this group and name has unless it is given one: both in
// lower case with single dashes, joined by a slash.
func ID(group, name string) vedette.MonitorID {
	if of := slug(group); of != "" {
		return vedette.MonitorID(of + "/" + slug(name))
	}
	return vedette.MonitorID(slug(name))
}

// Defaults returns what a monitor is unless the file says otherwise, for monitors made in Go.
func Defaults() vedette.Monitor {
	d := builtin().Defaults
	return vedette.Monitor{
		Interval: d.Interval, Timeout: d.Timeout, RetryInterval: d.RetryInterval,
		Confirm: vedette.Confirm{Down: d.Confirm.Down, Up: d.Confirm.Up},
	}
}

// Encode writes a value as YAML, with the names that it has in JSON. Durations are texts, as
// 1h30m0s.
func Encode(w io.Writer, v any) error {
	text, err := yaml.MarshalWithOptions(v, yaml.UseJSONMarshaler())
	if err != nil {
		return fmt.Errorf("write yaml: %w", err)
	}
	_, err = w.Write(text)
	return err
}
