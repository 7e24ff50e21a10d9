package egress

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// A Trust says with which TLS settings to connect, and whom to trust. Equal ones are shared.
type Trust struct {
	CAFile     string // PEM; "" trusts the system's authorities
	CertFile   string // PEM; "" shows no client certificate
	KeyFile    string
	MinVersion string // 1.0, 1.1, 1.2, 1.3; "" is 1.2
}

// Version returns MinVersion as crypto/tls counts.
func (t Trust) Version() (uint16, error) {
	switch t.MinVersion {
	case "":
		return tls.VersionTLS12, nil
	case "1.0":
		return tls.VersionTLS10, nil
	case "1.1":
		return tls.VersionTLS11, nil
	case "1.2":
		return tls.VersionTLS12, nil
	case "1.3":
		return tls.VersionTLS13, nil
	}
	return 0, fmt.Errorf("there is no TLS %s: want 1.0, 1.1, 1.2 or 1.3", t.MinVersion)
}

// A Secured is what a [Trust] comes to. Config does not verify the server: who connects does,
// against Roots, so that a bad certificate can still be looked at. Copy Config to set a server
// name.
type Secured struct {
	Config *tls.Config
	Roots  *x509.CertPool // nil: the system's
	stamp  [3]stamp
}

type stamp struct {
	mod  time.Time
	size int64
}

// Trusts keeps one [Secured] for each [Trust] and reads files again when they change. The zero
// value is ready, and safe for concurrent use.
type Trusts struct {
	mu   sync.Mutex
	kept map[Trust]*Secured
}

// Get returns what t comes to now.
func (s *Trusts) Get(t Trust) (*Secured, error) {
	stamps, err := t.stamps()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if got := s.kept[t]; got != nil && got.stamp == stamps {
		return got, nil
	}
	got, err := t.load()
	if err != nil {
		return nil, err
	}
	got.stamp = stamps
	if s.kept == nil {
		s.kept = map[Trust]*Secured{}
	}
	s.kept[t] = got
	return got, nil
}

func (t Trust) stamps() (stamps [3]stamp, err error) {
	for i, path := range [...]string{t.CAFile, t.CertFile, t.KeyFile} {
		if path == "" {
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return stamps, err
		}
		stamps[i] = stamp{info.ModTime(), info.Size()}
	}
	return stamps, nil
}

func (t Trust) load() (*Secured, error) {
	version, err := t.Version()
	if err != nil {
		return nil, err
	}
	s := &Secured{Config: &tls.Config{
		MinVersion:             version,
		InsecureSkipVerify:     true, // verified by who connects
		SessionTicketsDisabled: true,
	}}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		s.Roots = x509.NewCertPool()
		if !s.Roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", t.CAFile)
		}
	}
	if t.CertFile == "" && t.KeyFile == "" {
		return s, nil
	}
	if t.CertFile == "" || t.KeyFile == "" {
		return nil, errors.New("a client certificate needs cert_file and key_file")
	}
	pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return nil, err
	}
	s.Config.Certificates = []tls.Certificate{pair}
	return s, nil
}
