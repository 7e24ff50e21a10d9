package kafka_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/vedettehq/vedette/kafka"
)

func TestParseURL(t *testing.T) {
	for _, test := range []struct{ url, brokers, topic, err string }{
		{"kafka://a:1/results", "a:1", "results", ""},
		{"kafka://a,b:2,[::1],[::1]:3/x.y_z-1", "a:9092 b:2 [::1]:9092 [::1]:3", "x.y_z-1", ""},
		{"http://a/results", "", "", "does not begin with kafka://"},
		{"kafka://a:1", "", "", "names no topic"},
		{"kafka://a:1/", "", "", "names no topic"},
		{"kafka:///results", "", "", `"" is no broker`},
		{"kafka://a:1,/results", "", "", `"" is no broker`},
		{"kafka://a:x/results", "", "", `"a:x" is no broker`},
		{"kafka://a:70000/results", "", "", `"a:70000" is no broker`},
		{"kafka://a:1/one/two", "", "", "no name of a topic"},
		{"kafka://a:1/..", "", "", "no name of a topic"},
		{"kafka://user:secret@a:1/results", "", "", "takes no user"},
	} {
		brokers, topic, err := kafka.ParseURL(test.url)
		if err == nil {
			err = noError
		}
		if strings.Join(brokers, " ") != test.brokers || topic != test.topic || !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: %v, %q, %v; want %s, %q, %q", test.url, brokers, topic, err, test.brokers, test.topic, test.err)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error repeats the password: %v", test.url, err)
		}
	}
}

var noError = os.ErrExist

func FuzzParseURL(f *testing.F) {
	f.Add("kafka://a:1,[::1]:2/results")
	f.Add("kafka://@/")
	f.Fuzz(func(t *testing.T, url string) {
		brokers, topic, err := kafka.ParseURL(url)
		if err != nil {
			return
		}
		again, same, err := kafka.ParseURL("kafka://" + strings.Join(brokers, ",") + "/" + topic)
		if err != nil || same != topic || strings.Join(again, ",") != strings.Join(brokers, ",") {
			t.Errorf("%q was read as %q of %q, which is read as %q of %q, %v", url, topic, brokers, same, again, err)
		}
	})
}

func TestMistakesOfConfig(t *testing.T) {
	dir := t.TempDir()
	junk := filepath.Join(dir, "junk.pem")
	if err := os.WriteFile(junk, []byte("junk"), 0o600); err != nil {
		t.Fatal(err)
	}
	ok := []string{"127.0.0.1:9092"}
	for name, test := range map[string]struct {
		c   kafka.Config
		err string
	}{
		"no broker":           {kafka.Config{}, "no Kafka broker is named"},
		"no port":             {kafka.Config{Brokers: []string{"a"}}, `broker "a": want host:port`},
		"unknown compression": {kafka.Config{Brokers: ok, Compression: "rar"}, "want none, gzip, snappy, lz4 or zstd"},
		"unknown mechanism":   {kafka.Config{Brokers: ok, SASL: &kafka.SASL{Mechanism: "magic", User: "u"}}, "want plain, scram-sha-256 or scram-sha-512"},
		"no user":             {kafka.Config{Brokers: ok, SASL: &kafka.SASL{Mechanism: "plain", Password: "secret"}}, "no user is named"},
		"no authority file":   {kafka.Config{Brokers: ok, TLS: &kafka.TLS{CA: filepath.Join(dir, "no.pem")}}, "no such file"},
		"no authority in it":  {kafka.Config{Brokers: ok, TLS: &kafka.TLS{CA: junk}}, "holds no PEM certificate"},
		"no key":              {kafka.Config{Brokers: ok, TLS: &kafka.TLS{Cert: junk}}, "needs both cert and key"},
		"no certificate":      {kafka.Config{Brokers: ok, TLS: &kafka.TLS{Cert: junk, Key: junk}}, "read the client certificate"},
		"an empty folder":     {kafka.Config{Brokers: ok, TLS: &kafka.TLS{Dir: dir}}, "ca.pem"},
		"two at once":         {kafka.Config{Compression: "rar"}, "no Kafka broker is named\ncompression"},
	} {
		t.Run(name, func(t *testing.T) {
			err := test.c.Check()
			if err == nil || !strings.Contains(err.Error(), test.err) || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v, want %q", err, test.err)
			}
			if _, err := kafka.NewPublisher(test.c); err == nil {
				t.Error("NewPublisher takes it")
			}
			if _, err := kafka.NewSource(test.c, kafka.Reading{Group: "g", Topics: []string{"t"}}); err == nil {
				t.Error("NewSource takes it")
			}
		})
	}
	if _, err := kafka.NewSource(kafka.Config{Brokers: ok}, kafka.Reading{}); err == nil {
		t.Error("NewSource takes a Reading of nothing")
	}
}

// works publishes and reads a message.
func works(t *testing.T, c kafka.Config) error {
	t.Helper()
	if _, err := kafka.EnsureTopic(t.Context(), c, "results", 1, 0); err != nil {
		return err
	}
	if err := publisher(t, c).Publish(t.Context(), messages("m")...); err != nil {
		return err
	}
	s := open(t, source(t, c, kafka.Reading{Group: "g", Topics: []string{"results"}}))
	m, err := s.Receive(t.Context(), 1)
	if err == nil && (len(m) != 1 || string(m[0].Body) != "m") {
		t.Errorf("got %v, want what was sent", m)
	}
	return err
}

func TestLogin(t *testing.T) {
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		t.Run(mechanism, func(t *testing.T) {
			_, c := fake(t, kfake.EnableSASL(), kfake.Superuser(mechanism, "ann", "pass, word=1"))
			c.SASL = &kafka.SASL{Mechanism: strings.ToLower(mechanism), User: "ann", Password: "pass, word=1"}
			if err := works(t, c); err != nil {
				t.Fatal(err)
			}
			c.Timeout = time.Second
			c.SASL = &kafka.SASL{Mechanism: mechanism, User: "ann", Password: "wrongsecret"}
			s := source(t, c, kafka.Reading{Group: "g", Topics: []string{"results"}})
			if _, err := s.Open(t.Context()); err == nil || strings.Contains(err.Error(), "wrongsecret") {
				t.Errorf("Open with a wrong password: %v, want an error without it", err)
			}
		})
	}
}

func TestCompression(t *testing.T) {
	for _, codec := range []string{"none", "gzip", "snappy", "lz4", "zstd"} {
		t.Run(codec, func(t *testing.T) {
			_, c := fake(t)
			c.Compression = codec
			if err := works(t, c); err != nil {
				t.Fatal(err)
			}
			body := strings.Repeat("what compresses well ", 100)
			if err := publisher(t, c).Publish(t.Context(), messages(body)...); err != nil {
				t.Fatal(err)
			}
			s := open(t, source(t, c, kafka.Reading{Group: "g2", Topics: []string{"results"}}))
			for range 2 {
				m, err := s.Receive(t.Context(), 1)
				if err != nil || string(m[0].Body) != "m" && string(m[0].Body) != body {
					t.Fatalf("got %v, %v; want what was sent", m, err)
				}
			}
			var used string
			cl := client(t, c, kgo.ConsumeTopics("results"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			for n := 0; n < 2; {
				cl.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
					n++
					used = []string{"none", "gzip", "snappy", "lz4", "zstd"}[r.Attrs.CompressionType()]
				})
			}
			if used != codec {
				t.Errorf("the message was sent with %s", used)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	dir := t.TempDir()
	pool, server := certificates(t, dir)
	_, c := fake(t, kfake.TLS(&tls.Config{
		Certificates: []tls.Certificate{server}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool,
		MinVersion: tls.VersionTLS12,
	}))
	c.Timeout = 2 * time.Second
	file := func(name string) string { return filepath.Join(dir, name) }
	for name, test := range map[string]struct {
		tls *kafka.TLS
		ok  bool
	}{
		"a folder":         {&kafka.TLS{Dir: dir}, true},
		"files":            {&kafka.TLS{CA: file("ca.pem"), Cert: file("service.cert"), Key: file("service.key")}, true},
		"no authority":     {&kafka.TLS{Cert: file("service.cert"), Key: file("service.key")}, false},
		"no trust needed":  {&kafka.TLS{Cert: file("service.cert"), Key: file("service.key"), Insecure: true}, true},
		"another name":     {&kafka.TLS{Dir: dir, ServerName: "other.example"}, false},
		"no certificate":   {&kafka.TLS{CA: file("ca.pem")}, false},
		"nothing at all":   {nil, false},
		"a name it can be": {&kafka.TLS{Dir: dir, ServerName: "broker.example"}, true},
	} {
		for _, dials := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				c := c
				c.TLS = test.tls
				if dials {
					c.Dialer = (&net.Dialer{}).DialContext
				}
				if err := works(t, c); (err == nil) != test.ok {
					t.Errorf("got %v; should it work: %v", err, test.ok)
				}
			})
		}
	}
}

// certificates writes those of a client to dir, and returns the authority's and a server's.
func certificates(t *testing.T, dir string) (*x509.CertPool, tls.Certificate) {
	t.Helper()
	authority := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true,
	}
	signer := key(t)
	ca := sign(t, authority, authority, signer, signer)
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"},
		NotBefore: authority.NotBefore, NotAfter: authority.NotAfter,
		DNSNames: []string{"localhost", "broker.example"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	own := key(t)
	cert := sign(t, leaf, authority, own, signer)
	der, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		t.Fatal(err)
	}
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	for name, data := range map[string][]byte{"ca.pem": ca, "service.cert": cert, "service.key": keyPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pair, err := tls.X509KeyPair(cert, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	return pool, pair
}

func key(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sign(t *testing.T, c, parent *x509.Certificate, own, signer *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &own.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestEnsureTopic(t *testing.T) {
	cluster, c := fake(t, kfake.NumBrokers(3))
	c.Prefix = "team."
	ensure(t, c, 6)
	made := cluster.TopicInfo("team.results")
	if made.NumReplicas != 3 || made.Configs["min.insync.replicas"] == nil || *made.Configs["min.insync.replicas"] != "2" {
		t.Errorf("made with %d replicas and %v, want 3 with min.insync.replicas=2", made.NumReplicas, made.Configs)
	}
	if n := len(cluster.PartitionInfos("team.results")); n != 6 {
		t.Errorf("made with %d partitions, want 6", n)
	}
	ensure(t, c, 6)
	ensure(t, c, 0)
	adm := kadm.NewClient(client(t, c))
	if _, err := adm.CreateTopic(t.Context(), 2, 1, nil, "team.weak"); err != nil {
		t.Fatal(err)
	}
	warning, err := kafka.EnsureTopic(t.Context(), c, "weak", 6, 0)
	for _, want := range []string{"team.weak has 2 partitions, not 6", "keeps 1 copy", "min.insync.replicas=1"} {
		if err != nil || !strings.Contains(warning, want) {
			t.Errorf("%q, %v; want %q", warning, err, want)
		}
	}
	cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Err: kerr.TopicAuthorizationFailed})
	if _, err := kafka.EnsureTopic(t.Context(), c, "forbidden", 1, 0); err == nil || !strings.Contains(err.Error(), "ensure topic forbidden") {
		t.Errorf("got %v, want that it is not ours to create", err)
	}
}

func TestEnsureTopicOnOneBroker(t *testing.T) {
	cluster, c := fake(t)
	ensure(t, c, 2)
	if made := cluster.TopicInfo("results"); made.NumReplicas != 1 || made.Configs["min.insync.replicas"] != nil {
		t.Errorf("made with %d replicas and %v, want one and nothing", made.NumReplicas, made.Configs)
	}
	ensure(t, c, 1)
}
