package record

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/vedettehq/vedette"
)

const (
	relayEvery = time.Second
	relayPiece = 100
)

// relay sends dead letters to where people look for them. A letter may be sent twice, with the
// same id: sending and noting that it is sent cannot be one step.
func (r *Record) relay(ctx context.Context) error {
	if r.cfg.Letters == nil || r.cfg.Dead == nil {
		return nil
	}
	for {
		letters, err := r.cfg.Letters.Unsent(ctx, relayPiece)
		if err != nil {
			return fmt.Errorf("read dead letters: %w", err)
		}
		if len(letters) == 0 {
			return nil
		}
		ids := make([]vedette.ID, len(letters))
		for i := range letters {
			ids[i] = letters[i].ID
		}
		if err := r.publish(ctx, letters); err != nil {
			return fmt.Errorf("send dead letters: %w", err)
		}
		if err := r.cfg.Letters.Sent(ctx, ids...); err != nil {
			return fmt.Errorf("note that dead letters are sent: %w", err)
		}
	}
}

// publish sends letters. One that the broker refuses goes without what it carries, which stays in
// the store.
func (r *Record) publish(ctx context.Context, letters []vedette.DeadLetter) error {
	messages := make([]vedette.Message, len(letters))
	for i, letter := range letters {
		messages[i] = r.envelope(letter)
	}
	err := r.cfg.Dead.Publish(ctx, messages...)
	if !errors.Is(err, vedette.ErrRefused) {
		return err
	}
	for i, letter := range letters {
		err := r.cfg.Dead.Publish(ctx, messages[i])
		if errors.Is(err, vedette.ErrRefused) {
			letter.Key, letter.Body, letter.Header = nil, nil, nil
			err = r.cfg.Dead.Publish(ctx, r.envelope(letter))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// envelope is a letter as it is sent: the message as it came, with where it came from and why it
// is dead in its header.
func (r *Record) envelope(letter vedette.DeadLetter) vedette.Message {
	header := map[string]string{
		"dead-id":        letter.ID.String(),
		"dead-reason":    letter.Reason,
		"dead-at":        letter.Dead.UTC().Format(time.RFC3339Nano),
		"dead-topic":     letter.Position.Topic,
		"dead-partition": strconv.FormatInt(int64(letter.Position.Partition), 10),
		"dead-from":      strconv.FormatInt(letter.Position.From, 10),
		"dead-next":      strconv.FormatInt(letter.Position.Next, 10),
	}
	for name, value := range letter.Header {
		if _, ours := header[name]; !ours {
			header[name] = value
		}
	}
	return vedette.Message{Topic: r.cfg.DeadTopic, Key: letter.Key, Body: letter.Body, Header: header}
}
