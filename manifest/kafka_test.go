package manifest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/manifest"
)

const scaled = `
store: "postgres://vedette:${DB}@db.example.com:5432/vedette?sslmode=require&sslpassword=hunter2"
results: kafka://k1:9092,[::1]:9093/vedette.results
kafka:
  tls: {ca: ca.pem, server_name: k}
  sasl: {mechanism: SCRAM-SHA-512, user: u, password: "${KAFKA}"}
  registry: http://r:hunter2@registry:8081
  format: json
  spool: {max_bytes: 500MB, when_full: drop_oldest}
monitors: [{name: a, url: "tcp://a:1"}]
`

func TestKafkaHasDefaults(t *testing.T) {
	f := parse(t, scaled, "DB=hunter2", "KAFKA=hunter2")
	want := manifest.Kafka{
		TLS:         &manifest.TLS{CA: "ca.pem", ServerName: "k"},
		SASL:        &manifest.SASL{Mechanism: "scram-sha-512", User: "u", Password: check.Secret{Text: "${KAFKA}"}},
		Compression: "snappy", Registry: "http://r:hunter2@registry:8081", Group: "vedette", Partitions: 12, Format: "json",
		Spool: manifest.Spool{Dir: "vedette.spool", MaxBytes: 500_000_000, WhenFull: "drop_oldest"},
	}
	if diff := cmp.Diff(want, f.Kafka, cmpopts.IgnoreUnexported(manifest.TLS{})); diff != "" {
		t.Error(diff)
	}
	if f.Results != "kafka://k1:9092,[::1]:9093/vedette.results" || !strings.Contains(f.Store, "hunter2@") {
		t.Errorf("results %s, store %s", f.Results, f.Store)
	}
	empty := parse(t, "").Kafka
	if empty.TLS != nil || empty.SASL != nil || empty.Spool.MaxBytes != 1<<30 || empty.Spool.WhenFull != "block" || empty.Format != "avro" {
		t.Errorf("an empty file: %+v", empty)
	}
}

func TestTLSIsTrueOrAMap(t *testing.T) {
	for text, want := range map[string]*manifest.TLS{
		"true": {}, "{}": {}, "${ON}": {}, "{insecure: true}": {Insecure: true}, "false": nil, "": nil,
	} {
		got := parse(t, "results: kafka://k:1/t\nkafka:\n  tls: "+text+"\n", "ON=true").Kafka.TLS
		if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(manifest.TLS{})); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

func TestWhereResultsGoIsShownWithoutSecrets(t *testing.T) {
	f := parse(t, scaled, "DB=hunter2", "KAFKA=hunter2")
	text := show(t, f, "")
	for _, want := range []string{
		`store: "postgres://vedette:***@db.example.com:5432/vedette?sslmode=require&sslpassword=***"  # vedette.yaml:2`,
		"  tls: {ca: \"ca.pem\", server_name: k}  # vedette.yaml:5\n",
		"  sasl: {mechanism: SCRAM-SHA-512, user: u, password: \"${KAFKA}\"}  # vedette.yaml:6\n",
		"  compression: snappy  # built-in default\n",
		"  registry: \"http://r:***@registry:8081\"  # vedette.yaml:7\n",
		"  spool:\n    dir: \"vedette.spool\"  # built-in default\n    max_bytes: 500MB  # vedette.yaml:9\n",
	} {
		want = strings.ReplaceAll(strings.ReplaceAll(want, `"ca.pem"`, "ca.pem"), `"vedette.spool"`, "vedette.spool")
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	if strings.Contains(text, "hunter2") || t.Failed() {
		t.Error(text)
	}
	again := parse(t, text, "KAFKA=k")
	if len(again.Warnings) > 0 {
		t.Error(again.Warnings)
	}
	f.Kafka.Registry = again.Kafka.Registry
	if diff := cmp.Diff(f.Kafka, again.Kafka, cmpopts.IgnoreUnexported(manifest.TLS{})); diff != "" || f.Results != again.Results {
		t.Errorf("%s %s %s", f.Results, again.Results, diff)
	}
}

func TestWhatIsIdleOfKafkaIsNotShown(t *testing.T) {
	for store, want := range map[string]bool{"sqlite:a.db": false, "postgres://h/d": true} {
		text := show(t, parse(t, "store: '"+store+"'\n"), "")
		if strings.Contains(text, "compression") || strings.Contains(text, "spool") != want {
			t.Errorf("%s:\n%s", store, text)
		}
		if w := parse(t, text).Warnings; len(w) != 1 { // there are no monitors
			t.Error(w)
		}
	}
}

func TestOnlyTheSpoolMattersWithoutResults(t *testing.T) {
	f := parse(t, "store: 'postgresql://h/d'\nkafka: {spool: {dir: /tmp/x}}\nmonitors: [{name: a, url: 'tcp://a:1'}]\n")
	if len(f.Warnings) > 0 || f.Kafka.Spool.Dir != "/tmp/x" {
		t.Error(f.Warnings, f.Kafka.Spool)
	}
}

func TestStoresAreChecked(t *testing.T) {
	for store, want := range map[string]string{
		"memory": "", "sqlite:a.db": "", "postgres://h/d": "", "postgresql://u:p%2F@[::1]:5432/d?sslmode=disable": "", "postgres://u@h/d": "",
		"sqlite:":                       "the path of the file is missing",
		"mysql://u:hunter2@h/d":         `"mysql://u:***@h/d" is no store`,
		"postgres:///d":                 "the host of the database is missing",
		"postgres:h/d":                  "the host of the database is missing",
		"postgres://h":                  "the name of the database is missing",
		"postgres://h/":                 "the name of the database is missing",
		"postgres://h/d/e":              `"d/e" is no name of a database`,
		"postgres://h:0/d":              `"0" is no port`,
		"postgres://h:99999/d":          `"99999" is no port`,
		"postgres://h:x/d":              "the address cannot be read",
		"postgres://u:hun#ter2@h/d":     "in a password, write % and what is special",
		"postgres://u:hunter2%zz@h/d":   "in a password, write % and what is special",
		"postgres://u:hun@ter2@h/d":     "write it as %40",
		"postgres://u:p@h/d#hunter2":    "what follows # is lost",
		"postgres://h/d?password=x#ter": "what follows # is lost",
	} {
		_, err := manifest.Parse("a.yaml", []byte("store: '"+store+"'\nmonitors: [{name: a, url: 'tcp://a:1'}]\n"), manifest.Options{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "ter2")) {
			t.Errorf("%s: got %v, want %q", store, err, want)
		}
	}
}

func TestResultsAreChecked(t *testing.T) {
	for address, want := range map[string]string{
		"kafka://k:9092/t": "", "kafka://k,[::1]/t": "", "kafka://a:1,b:2,[::1]:3/wms.results_1-x": "",
		"amqp://k:1/t":    "straight into the store",
		"kafka://k:9092":  "the topic is missing",
		"kafka://k:9092/": "the topic is missing",
		"kafka:///t":      `"" is no HOST:PORT`,
		"kafka://k:1,/t":  `"" is no HOST:PORT`,
		"kafka://:1/t":    `":1" is no HOST:PORT`,
		"kafka://k:0/t":   `"k:0" is no HOST:PORT`,
		"kafka://k:1/a/b": `"a/b" is no topic`,
		"kafka://k:1/..":  `".." is no topic`,
		"kafka://k:1/t?x": "settings of Kafka stand in kafka:",
		"kafka://u@k:1/t": "user and password stand in kafka:",
		"kafka://k:1/" + strings.Repeat("a", 250): "is no topic",
	} {
		err := manifest.CheckResults(address)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: got %v, want %q", address, err, want)
		}
	}
}

func TestThePasswordOfKafkaIsRevealedWhenAsked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(path, []byte("from a file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := environment([]string{"P=from the environment"})
	for want, secret := range map[string]check.Secret{
		"from a file": {File: path}, "from the environment": {Text: "${P}"}, "$as it is": {Text: "$$as it is"},
	} {
		if got, err := (manifest.SASL{Password: secret}).Reveal(env); got != want && got != "$"+want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	if _, err := (manifest.SASL{Password: check.Secret{File: path + "x"}}).Reveal(env); err == nil {
		t.Error("a file that is not there has a password")
	}
}
