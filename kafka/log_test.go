package kafka

import (
	"bytes"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
)

func TestBrokerThatIsAwayIsSaidByTheErrorAlone(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for level, want := range map[slog.Level]bool{slog.LevelInfo: false, slog.LevelDebug: true} {
		var log bytes.Buffer
		p, err := NewPublisher(Config{
			Brokers: []string{nobody}, Timeout: 300 * time.Millisecond,
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: level})),
		})
		if err != nil {
			t.Fatal(err)
		}
		err = p.Publish(t.Context(), vedette.Message{Topic: "x", Body: []byte("x")})
		if err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("publish: %v, want what is wrong", err)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if got := log.Len() > 0; got != want {
			t.Errorf("level %v: logged %v, want %v\n%s", level, got, want, log.String())
		}
	}
}
