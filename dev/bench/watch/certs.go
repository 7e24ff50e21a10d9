//go:build linux

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// makeCertificates writes a root (ca.pem) and a chain of three certificates below it with the
// key of the last (chain.pem, key.pem).
func makeCertificates(dir string) error {
	root, err := issue("root", nil, true)
	if err != nil {
		return err
	}
	first, err := issue("first", root, true)
	if err != nil {
		return err
	}
	second, err := issue("second", first, true)
	if err != nil {
		return err
	}
	leaf, err := issue("leaf", second, false)
	if err != nil {
		return err
	}
	key, err := x509.MarshalECPrivateKey(leaf.key)
	if err != nil {
		return fmt.Errorf("write key: %w", err)
	}
	for name, blocks := range map[string][]*pem.Block{
		"ca.pem":    {root.block()},
		"chain.pem": {leaf.block(), second.block(), first.block()},
		"key.pem":   {{Type: "EC PRIVATE KEY", Bytes: key}},
	} {
		var data []byte
		for _, b := range blocks {
			data = append(data, pem.EncodeToMemory(b)...)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return fmt.Errorf("write certificates: %w", err)
		}
	}
	return nil
}

type certificate struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (c *certificate) block() *pem.Block { return &pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw} }

func issue(name string, by *certificate, ca bool) (*certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(90 * 24 * time.Hour),
		IsCA:                  ca,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	if by == nil {
		by = &certificate{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, &key.PublicKey, by.key)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make certificate: %w", err)
	}
	return &certificate{cert, key}, nil
}

// serverTLS offers HTTP/1.1 alone, so that floor and Vedette speak the same.
func serverTLS(dir string) (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(filepath.Join(dir, "chain.pem"), filepath.Join(dir, "key.pem"))
	if err != nil {
		return nil, fmt.Errorf("read certificates: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	}, nil
}

func clientTLS(caFile string) (*tls.Config, error) {
	data, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("read authority: %w", err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(data)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, nil
}
