//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// header and trailer of PostgreSQL's binary COPY format.
var (
	header  = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	trailer = []byte{0xff, 0xff}
)

// copyAgain is the floor: the rows that recording has left, as the server itself writes them, are
// copied into new tables of the same shape, without Kafka, decoding, verdicts or positions.
func (w *world) copyAgain(ctx context.Context, o options) (pass, error) {
	chunks, err := w.dump(ctx)
	if err != nil {
		return pass{}, fmt.Errorf("read the rows: %w", err)
	}
	fresh, err := newSchema(ctx, o.postgres, "bench_floor")
	if err != nil {
		return pass{}, err
	}
	defer fresh.drop(ctx)
	if err := fresh.openDays(ctx, w.first, w.last); err != nil {
		return pass{}, err
	}
	next := make(chan []byte, len(chunks))
	for _, c := range chunks {
		next <- c
	}
	close(next)
	var (
		lanes sync.WaitGroup
		mu    sync.Mutex
		fails error
	)
	began := time.Now()
	for range o.lanes {
		lanes.Go(func() {
			if err := copyLane(ctx, fresh.url, next); err != nil {
				mu.Lock()
				fails = errors.Join(fails, err)
				mu.Unlock()
			}
		})
	}
	lanes.Wait()
	return pass{took: time.Since(began), batches: int64(len(chunks))}, fails
}

func copyLane(ctx context.Context, url string, next <-chan []byte) error {
	c, err := pgconn.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	for chunk := range next {
		if _, err := c.CopyFrom(ctx, bytes.NewReader(chunk), "copy results from stdin binary"); err != nil {
			return err
		}
	}
	return nil
}

// perChunk is how many rows go into one transaction: as many as recording puts into one.
const perChunk = 20_000

// dump reads the rows as chunks for COPY.
func (w *world) dump(ctx context.Context) ([][]byte, error) {
	c, err := pgconn.Connect(ctx, w.schema.url)
	if err != nil {
		return nil, err
	}
	defer func() { _ = c.Close(ctx) }()
	var all bytes.Buffer
	if _, err := c.CopyTo(ctx, &all, "copy (select * from results) to stdout binary"); err != nil {
		return nil, err
	}
	rest := all.Bytes()[len(header):]
	var chunks [][]byte
	for len(rest) > len(trailer) {
		n := 0
		for range perChunk {
			size, err := rowSize(rest[n:])
			if errors.Is(err, io.EOF) {
				break
			}
			n += size
		}
		chunk := append(append(append([]byte{}, header...), rest[:n]...), trailer...)
		chunks, rest = append(chunks, chunk), rest[n:]
	}
	return chunks, nil
}

// rowSize is how many bytes the first row takes; at the trailer it reports io.EOF.
func rowSize(b []byte) (int, error) {
	fields := int16(binary.BigEndian.Uint16(b)) //nolint:gosec // it is signed on the wire
	if fields < 0 {
		return 0, io.EOF
	}
	n := 2
	for range fields {
		if size := int32(binary.BigEndian.Uint32(b[n:])); size > 0 { //nolint:gosec // it is signed on the wire
			n += int(size)
		}
		n += 4
	}
	return n, nil
}
