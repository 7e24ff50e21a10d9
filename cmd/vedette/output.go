package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/manifest"
)

var formats = []string{"table", "json", "jsonl", "csv", "yaml"} //nolint:gochecknoglobals // a constant list

// outputFlag adds -o to a command.
func outputFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVarP(format, "output", "o", "table", strings.Join(formats, " | "))
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
}

func checkFormat(format string) error {
	if !slices.Contains(formats, format) {
		return usagef("output %q: want one of %s", format, strings.Join(formats, ", "))
	}
	return nil
}

// A column is one of a table for people.
type column[T any] struct {
	head string
	cell func(T) string
}

// write prints rows in a format.
func write[T any](w io.Writer, format string, rows []T, columns []column[T]) error {
	switch format {
	case "json":
		e := json.NewEncoder(w)
		e.SetIndent("", "  ")
		if rows == nil {
			rows = []T{}
		}
		return e.Encode(rows)
	case "jsonl":
		e := json.NewEncoder(w)
		for _, r := range rows {
			if err := e.Encode(r); err != nil {
				return err
			}
		}
		return nil
	case "csv":
		return writeCSV(w, rows)
	case "yaml":
		return manifest.Encode(w, rows)
	}
	writeTable(w, rows, columns)
	return nil
}

// minRoom is how many cells the last column wants on a terminal. With fewer it gets lines of its own.
const minRoom = 32

// writeTable prints a header and a line a row. The last column holds sentences.
func writeTable[T any](w io.Writer, rows []T, columns []column[T]) {
	words := columns[len(columns)-1]
	columns = columns[:len(columns)-1]
	t := table.NewWriter()
	t.SetStyle(tableStyle())
	var head table.Row
	for _, c := range columns {
		head = append(head, c.head)
	}
	t.AppendHeader(head)
	for _, r := range rows {
		var line table.Row
		for _, c := range columns {
			line = append(line, c.cell(r))
		}
		t.AppendRow(line)
	}
	lines := strings.Split(t.Render(), "\n")
	l := liner{w, terminalWidth(w), text.StringWidth(lines[0]), colored(w)}
	l.put(lines[0], strings.ToUpper(words.head), true)
	for i, r := range rows {
		l.put(lines[i+1], oneLine(words.cell(r)), false)
	}
}

// A liner prints lines of a table.
type liner struct {
	w            io.Writer
	width, taken int // cells of the terminal, 0 for none, and of the columns but the last
	color        bool
}

// put prints one line. Words that do not fit beside it go below, whole.
func (l liner) put(line, words string, head bool) {
	narrow := l.width > 0 && l.width-l.taken < minRoom
	below := narrow || l.width > 0 && l.taken+text.StringWidth(words) > l.width
	if !below {
		line += words
	}
	line = strings.TrimRight(line, " ")
	if !l.color {
		line = text.StripEscape(line)
	}
	fmt.Fprintln(l.w, text.Snip(line, l.width, "…"))
	if !below || head || words == "" {
		return
	}
	for part := range strings.SplitSeq(text.WrapSoft(words, max(l.width-2, 1)), "\n") {
		fmt.Fprintln(l.w, "  "+strings.TrimRight(part, " "))
	}
}

// oneLine keeps what a site says from moving the cursor.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// tableStyle is plain: columns by spaces, no lines.
func tableStyle() table.Style {
	s := table.StyleDefault
	s.Options = table.OptionsNoBordersAndSeparators
	s.Format.Header = text.FormatUpper
	s.Box.PaddingLeft, s.Box.PaddingRight = "", "  "
	return s
}

// writeCSV prints a header and a line a row, of the fields as they are named in JSON; those of a
// nested object are joined with a dot.
func writeCSV[T any](w io.Writer, rows []T) error {
	c := csv.NewWriter(w)
	head, _ := flatten(reflect.New(reflect.TypeFor[T]()).Elem(), "")
	if err := c.Write(head); err != nil {
		return err
	}
	for _, r := range rows {
		_, cells := flatten(reflect.ValueOf(r), "")
		if err := c.Write(cells); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

func flatten(v reflect.Value, prefix string) (names, cells []string) {
	t := v.Type()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		f := v.Field(i)
		if f.Kind() == reflect.Struct && f.Type() != reflect.TypeFor[time.Time]() {
			n, c := flatten(f, prefix+name+".")
			names, cells = append(names, n...), append(cells, c...)
			continue
		}
		names, cells = append(names, prefix+name), append(cells, csvCell(f))
	}
	return names, cells
}

// csvCell is the value as JSON would show it, a string without its quotes, nothing for null.
func csvCell(v reflect.Value) string {
	b, err := json.Marshal(v.Interface())
	if err != nil || string(b) == "null" {
		return ""
	}
	var s string
	if json.Unmarshal(b, &s) == nil {
		return s
	}
	return string(b)
}

// colored reports whether w is a terminal that wants colour (https://no-color.org).
func colored(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && terminalWidth(w) > 0
}

// terminalWidth returns the width of the terminal that w is, or 0.
func terminalWidth(w any) int {
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// stateCell shows a state in its colour; the word says it too.
func stateCell(s vedette.State) string {
	color := map[vedette.State]text.Color{
		vedette.Up: text.FgGreen, vedette.Degraded: text.FgYellow, vedette.Down: text.FgRed,
		vedette.Unknown: text.FgMagenta, vedette.Maintenance: text.FgBlue, vedette.Paused: text.FgHiBlack,
	}[s]
	return color.Sprint(string(s))
}

// ago says how long ago t was.
func ago(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return short(time.Since(*t))
}

// short says a duration in at most two units.
func short(d time.Duration) string {
	switch d = d.Round(time.Second); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 24*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// milli says a time in milliseconds as people read it.
func milli(ms float64) string {
	switch {
	case ms == 0:
		return "-"
	case ms < 10:
		return fmt.Sprintf("%.2fms", ms)
	case ms < 1000:
		return fmt.Sprintf("%.0fms", ms)
	}
	return fmt.Sprintf("%.2fs", ms/1000)
}
