package manifest

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/vedettehq/vedette/internal/expand"
	"github.com/vedettehq/vedette/when"
)

// write returns the configuration, with comments where a value means more than it says.
func (s *sitemon) write() []byte {
	var b bytes.Buffer
	b.WriteString(Header)
	fmt.Fprintf(&b, "# Made of %s by vedette import sitemon.\n\n", s.names())
	if s.store != "" {
		if s.text(s.postgres.at, "postgres", "password") != "" {
			b.WriteString("# The password may come from the environment instead: postgres://USER:${NAME}@...\n")
		}
		fmt.Fprintf(&b, "store: %s\n", literal(s.store))
	}
	if s.results != "" {
		b.WriteString("# What sitemon left in this topic cannot be read: it becomes dead letters.\n")
		fmt.Fprintf(&b, "results: %s\n", literal(s.results))
		b.WriteString("kafka:\n  group: vedette  # sitemon's was sitemon-status\n")
	}
	if len(s.sites) > 0 {
		fmt.Fprintf(&b, "\ndefaults:\n  interval: %s\n  status: any  # 4xx and 5xx were successes in sitemon; without this line they are down\n", when.FormatDuration(s.every))
	}
	s.writeSites(&b)
	return b.Bytes()
}

func (s *sitemon) writeSites(b *bytes.Buffer) {
	b.WriteString("\nmonitors:")
	if len(s.sites) == 0 {
		b.WriteString(" []")
	}
	b.WriteByte('\n')
	taken := map[string]bool{}
	for _, one := range s.sites {
		fmt.Fprintf(b, "  - name: %s\n    url: %s\n", literal(siteName(one.url, taken)), literal(one.url))
		if one.pattern != "" {
			fmt.Fprintf(b, "    pattern: %s\n", literal(one.pattern))
		}
		if one.every != s.every {
			fmt.Fprintf(b, "    interval: %s\n", when.FormatDuration(one.every))
		}
	}
}

// literal writes a text that holds no variables.
func literal(text string) string { return quote(expand.Escape(text)) }

// general says what is different for everybody who used the parts that the files are of.
func (s *sitemon) general() (notes []string) {
	if len(s.sites) > 0 {
		notes = append(notes,
			"status: 4xx and 5xx were successes, so each site is up with any status; remove `status: any` to have them down",
			"timeout: a look is given up after 10s, at most the interval; sitemon waited 5 minutes and began the next one meanwhile",
			"confirm: a site is down after 3 failures in a row, looked at every 10s meanwhile; sitemon had no such thing",
			"response_time: it was a whole number of milliseconds; a result has its duration and six phases, to the microsecond",
			"warn: an https site whose certificate ends within 14 days is degraded",
			"error_text: a failure has a kind, a message and evidence instead",
		)
	}
	notes = append(notes, s.aboutPatterns()...)
	if s.postgres.at != nil {
		notes = append(notes, "site_status: that table held the latest look at each site; Vedette keeps every look in results and the latest in statuses, makes its own tables and leaves that one alone")
	} else {
		notes = append(notes, "store: no file has postgres, so results are kept in sqlite:vedette.db")
	}
	if s.results != "" {
		notes = append(notes,
			"kafka: messages have another format, so that sitemon's consumer and Vedette cannot share a topic: stop sitemon first, or name another topic in results",
			"kafka: the consumer group was sitemon-status, and is vedette now",
		)
	}
	return notes
}

// aboutPatterns tells what patterns mean here.
func (s *sitemon) aboutPatterns() (notes []string) {
	classes := regexp.MustCompile(`\\[dDwWsSbB]`)
	some, unicode := false, false
	for _, one := range s.sites {
		some = some || one.pattern != ""
		unicode = unicode || classes.MatchString(strings.ReplaceAll(one.pattern, `\\`, ""))
	}
	if some {
		notes = append(notes, "pattern: a site without it is down; sitemon noted pattern_match and left it at that")
	}
	if unicode {
		notes = append(notes, `pattern: \d, \w, \s and \b know ASCII only in RE2; for all letters write \pL, for all digits \p{Nd}`)
	}
	return notes
}
