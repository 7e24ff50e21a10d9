package kafka_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/kafka"
)

// kcat runs a client that shares no code with ours.
func kcat(t *testing.T, in string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("kcat")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("kcat is not installed")
		}
		t.Skip("kcat is not installed")
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = strings.NewReader(in), &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kcat %v: %v\n%s", args, err, errs.String())
	}
	return string(out)
}

func TestKcatReadsUsAndWeReadIt(t *testing.T) {
	broker := server(t)
	c := kafka.Config{Brokers: []string{broker}, Prefix: prefix(t), Compression: "zstd"}
	remove(t, c)
	ensure(t, c, 7)
	topic := c.Prefix + "results"
	const keys = 60

	var ours []vedette.Message
	var theirs strings.Builder
	for i := range keys {
		key := fmt.Sprintf("site-%d/é", i)
		ours = append(ours, vedette.Message{
			Topic: "results", Key: []byte(key), Body: []byte("ours"), Header: map[string]string{"n": strconv.Itoa(i)},
		})
		fmt.Fprintf(&theirs, "%s\t{\"theirs\":%d}\n", key, i)
	}
	if err := publisher(t, c).Publish(t.Context(), ours...); err != nil {
		t.Fatal(err)
	}
	placed := map[string]string{} // partition by key, as kcat sees it
	out := kcat(t, "", "-C", "-b", broker, "-t", topic, "-e", "-q", "-f", `%k\t%p\t%s\t%h\n`)
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		i := len(placed)
		if len(f) != 4 || f[2] != "ours" || !strings.HasPrefix(f[3], "n=") {
			t.Fatalf("kcat read line %d as %q", i, line)
		}
		placed[f[0]] = f[1]
	}
	if len(placed) != keys {
		t.Fatalf("kcat read %d keys, want %d", len(placed), keys)
	}

	kcat(t, theirs.String(), "-P", "-b", broker, "-t", topic, "-K", `\t`, "-X", "partitioner=murmur2_random")
	s := open(t, source(t, c, kafka.Reading{Group: "g", Topics: []string{"results"}}))
	seen := 0
	for seen < keys {
		all, err := s.Receive(t.Context(), 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range all {
			if !bytes.HasPrefix(m.Body, []byte(`{"theirs":`)) {
				continue
			}
			seen++
			if got := strconv.Itoa(int(m.Position.Partition)); got != placed[string(m.Key)] {
				t.Errorf("key %s: Java's partitioner gives %s, ours gave %s", m.Key, got, placed[string(m.Key)])
			}
		}
	}
}
