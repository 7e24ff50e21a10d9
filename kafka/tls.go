package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// TLS encrypts connections to brokers. Its zero value trusts the system's authorities and shows
// no certificate.
type TLS struct {
	// Dir is a folder with ca.pem, service.cert and service.key, as hosted Kafka hands them
	// out. CA, Cert and Key name files one by one and go before it.
	Dir           string
	CA, Cert, Key string
	// ServerName is what the brokers' certificates must name; "" means the host that was
	// dialled.
	ServerName string
	// Insecure accepts any certificate.
	Insecure bool
}

// config returns nil where t is nil.
func (t *TLS) config() (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: t.ServerName,
		InsecureSkipVerify: t.Insecure, //nolint:gosec // whoever sets Insecure asks for it
	}
	ca, cert, key := t.files()
	if ca != "" {
		pem, err := os.ReadFile(ca)
		if err != nil {
			return nil, fmt.Errorf("read the authority for Kafka: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read the authority for Kafka: %s holds no PEM certificate", ca)
		}
	}
	if (cert == "") != (key == "") {
		return nil, errors.New("TLS for Kafka: a client certificate needs both cert and key")
	}
	if cert != "" {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return nil, fmt.Errorf("read the client certificate for Kafka: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// files returns where the authority, the certificate and its key are.
func (t *TLS) files() (ca, cert, key string) {
	pick := func(own, name string) string {
		if own != "" || t.Dir == "" {
			return own
		}
		return filepath.Join(t.Dir, name)
	}
	return pick(t.CA, "ca.pem"), pick(t.Cert, "service.cert"), pick(t.Key, "service.key")
}

type dialer = func(ctx context.Context, network, address string) (net.Conn, error)

// overTLS adds a handshake to dial.
func overTLS(dial dialer, c *tls.Config) dialer {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		own := c.Clone()
		if own.ServerName == "" {
			own.ServerName, _, _ = net.SplitHostPort(address)
		}
		secure := tls.Client(conn, own)
		if err := secure.HandshakeContext(ctx); err != nil {
			_ = conn.Close()
			return nil, err
		}
		return secure, nil
	}
}
