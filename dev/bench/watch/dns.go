//go:build linux

package main

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/net/dns/dnsmessage"
)

// serveDNS answers every question for an address with 127.0.0.1 until ctx ends, and returns its
// own address.
func serveDNS(ctx context.Context) (string, error) {
	c, err := (&net.ListenConfig{}).ListenPacket(ctx, "udp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen for DNS: %w", err)
	}
	context.AfterFunc(ctx, func() { _ = c.Close() })
	go func() {
		buf := make([]byte, 1232)
		for {
			n, from, err := c.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply, err := resolve(buf[:n]); err == nil {
				_, _ = c.WriteTo(reply, from)
			}
		}
	}()
	return c.LocalAddr().String(), nil
}

func resolve(query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil {
		return nil, fmt.Errorf("read question: %w", err)
	}
	q, err := p.Question()
	if err != nil {
		return nil, fmt.Errorf("read question: %w", err)
	}
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: head.ID, Response: true, RecursionAvailable: true, RecursionDesired: head.RecursionDesired},
		Questions: []dnsmessage.Question{q},
	}
	if q.Type == dnsmessage.TypeA {
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 60},
			Body:   &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}},
		}}
	}
	return m.Pack()
}
