package check_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
)

// An authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(100 * 24 * time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	a := &authority{cert, key, filepath.Join(t.TempDir(), "ca.pem")}
	writePEM(t, a.file, "CERTIFICATE", der)
	return a
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func writePEM(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// issue returns a certificate for 127.0.0.1 and site.test that ends after days.
func (a *authority) issue(t testing.TB, days float64) tls.Certificate {
	t.Helper()
	key := newKey(t)
	ends := time.Now().Add(time.Duration(days * 24 * float64(time.Hour)))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "site"},
		DNSNames: []string{"site.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: ends.Add(-90 * 24 * time.Hour), NotAfter: ends,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// secureSite serves h over TLS with the certificate, and HTTP/2 if asked.
func secureSite(t testing.TB, cert tls.Certificate, h2 bool, change func(*tls.Config), h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.EnableHTTP2 = h2
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if change != nil {
		change(srv.TLS)
	}
	srv.Config.ErrorLog = quiet()
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func options(t testing.TB, o check.Options) string {
	t.Helper()
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestCertificates(t *testing.T) {
	a := newAuthority(t)
	other := newAuthority(t)
	good := secureSite(t, a.issue(t, 60), false, nil, ok)
	soon := secureSite(t, a.issue(t, 10), false, nil, ok)
	past := secureSite(t, a.issue(t, -3), false, nil, ok)
	future := secureSite(t, a.issue(t, 95), false, nil, ok)
	self := httptest.NewUnstartedServer(http.HandlerFunc(ok))
	self.Config.ErrorLog = quiet()
	self.StartTLS()
	defer self.Close()
	trust := `"tls":{"ca_file":"` + a.file + `"`
	for _, c := range []struct {
		name, url, options string
		state              vedette.State
		want               string
	}{
		{"good", good.URL, trust + `}`, vedette.Up, ""},
		{"ends soon", soon.URL, trust + `}`, vedette.Degraded, "expectation  cert.days > 14 is false: cert.days = 9.9"},
		{"ends soon, unwatched", soon.URL, trust + `},"warn":[]`, vedette.Up, ""},
		{"cert_days", soon.URL, trust + `},"cert_days":12.5`, vedette.Down, "cert.days >= 12.5 is false"},
		{"expired", past.URL, trust + `}`, vedette.Down, "certificate tls the certificate of site.test expired on "},
		{"expired, accepted", past.URL, trust + `,"insecure_skip_verify":true}`, vedette.Degraded, "cert.days > 14 is false: cert.days = -"},
		{"not yet valid", future.URL, trust + `}`, vedette.Down, "certificate tls the certificate of site.test is valid from "},
		{"unknown authority", good.URL, `"tls":{"ca_file":"` + other.file + `"}`, vedette.Down, "certificate tls the certificate of site.test is signed by an unknown authority: CN=Test authority"},
		{"self-signed", self.URL, `"tls":{}`, vedette.Down, "certificate tls the certificate of example.com is s"},
		{"wrong host", good.URL, trust + `,"server_name":"other.test"}`, vedette.Down, "certificate tls the certificate is for site.test, 127.0.0.1, not for other.test"},
		{"facts", good.URL, trust + `},"expect":["cert.days > 59 and cert.leaf_days > 59 and cert.not_after > now() and cert.names == [\"site.test\", \"127.0.0.1\"] and len(cert.sha256) == 64 and cert.subject == \"CN=site\" and tls.version == \"1.3\" and tls.alpn == \"http/1.1\" and len(tls.cipher) > 0"]`, vedette.Up, ""},
		{"fails with", past.URL, trust + `},"fails_with":["certificate"]`, vedette.Up, ""},
	} {
		for _, url := range []string{c.url, strings.Replace(c.url, "https", "tls", 1)} {
			if strings.HasPrefix(url, "tls:") {
				c.options = strings.ReplaceAll(c.options, ` and tls.alpn == \"http/1.1\"`, "")
			}
			r := look(t, url, "{"+c.options+"}")
			want(t, r, c.state, c.want)
			if r.CertNotAfter.IsZero() || r.Phases.TLS == 0 {
				t.Errorf("%s: ends %v, phases %+v", c.name, r.CertNotAfter, r.Phases)
			}
			if f := r.Failure; f != nil && (f.Evidence.Cert == nil || f.Evidence.Cert.SHA256 == "") {
				t.Errorf("%s: no certificate in the evidence", c.name)
			}
		}
	}
}

func TestTLSFailures(t *testing.T) {
	a := newAuthority(t)
	old := secureSite(t, a.issue(t, 60), false, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, ok)
	closing := bare(t, func(net.Conn) {})
	trust := check.TLS{CAFile: a.file}
	want(t, look(t, old.URL, options(t, check.Options{TLS: trust})), vedette.Up)
	trust.MinVersion = "1.3"
	want(t, look(t, old.URL, options(t, check.Options{TLS: trust})), vedette.Down, "tls tls TLS handshake with 127.0.0.1:")
	want(t, look(t, "tls://"+closing, ``), vedette.Down, " tls ")
}

func TestClientCertificates(t *testing.T) {
	a := newAuthority(t)
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	site := secureSite(t, a.issue(t, 60), false, func(c *tls.Config) {
		c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool
	}, ok)
	mine := a.issue(t, 60)
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writePEM(t, certFile, "CERTIFICATE", mine.Certificate[0])
	der, _ := x509.MarshalPKCS8PrivateKey(mine.PrivateKey)
	writePEM(t, keyFile, "PRIVATE KEY", der)
	trust := check.TLS{CAFile: a.file, CertFile: certFile, KeyFile: keyFile}
	want(t, look(t, site.URL, options(t, check.Options{TLS: trust})), vedette.Up)
	r := look(t, site.URL, options(t, check.Options{TLS: check.TLS{CAFile: a.file}}))
	want(t, r, vedette.Down, "tls ", "certificate required")
}

func TestAuthoritiesAreReadAgainWhenTheyChange(t *testing.T) {
	a, b := newAuthority(t), newAuthority(t)
	site := secureSite(t, b.issue(t, 60), false, nil, ok)
	c, _ := check.New(check.Config{})
	once, err := c.Compile(vedette.Monitor{URL: site.URL, Probe: vedette.Raw(options(t, check.Options{TLS: check.TLS{CAFile: a.file}}))})
	if err != nil {
		t.Fatal(err)
	}
	want(t, once(t.Context()), vedette.Down, "unknown authority")
	writePEM(t, a.file, "CERTIFICATE", b.cert.Raw)
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(a.file, later, later); err != nil {
		t.Fatal(err)
	}
	want(t, once(t.Context()), vedette.Up)
	if err := os.Remove(a.file); err != nil {
		t.Fatal(err)
	}
	want(t, once(t.Context()), vedette.Unknown, "internal tls TLS settings")
}

func TestHTTP2(t *testing.T) {
	a := newAuthority(t)
	h := func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/echo":
			_, _ = io.Copy(w, r.Body)
		case "/slow":
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "/cut":
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "abc")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "/go":
			http.Redirect(w, r, "/?a=1%2F2", http.StatusFound)
		default:
			_, _ = io.WriteString(w, r.Proto+" "+r.Host+" "+r.RequestURI)
		}
	}
	site := secureSite(t, a.issue(t, 60), true, nil, h)
	trust := `"tls":{"ca_file":"` + a.file + `"}`
	for _, c := range []struct {
		path, options string
		state         vedette.State
		want          string
	}{
		{"/x%20y?q=1", `"contains":["HTTP/2.0 127.0.0.1","/x%20y?q=1"],"expect":["proto == \"HTTP/2.0\" and tls.alpn == \"h2\""]`, vedette.Up, ""},
		{"/", `"request":{"http":"1"},"contains":["HTTP/1.1 "]`, vedette.Up, ""},
		{"/", `"request":{"http":"2","headers":{"Host":"other.test"}},"contains":["HTTP/2.0 other.test"]`, vedette.Up, ""},
		{"/echo", `"request":{"body":"hello"},"contains":["hello"]`, vedette.Up, ""},
		{"/go", `"contains":["/?a=1%2F2"],"expect":["redirects == 1"]`, vedette.Up, ""},
		{"/cut", ``, vedette.Down, " transfer "},
	} {
		r := look(t, site.URL+c.path, "{"+strings.TrimSuffix(trust+","+c.options, ",")+"}")
		want(t, r, c.state, c.want)
		if p := r.Phases; p.TLS <= 0 || p.Request+p.TTFB <= 0 || p.Transfer <= 0 {
			t.Errorf("%s: phases are %+v", c.path, p)
		}
	}
	slow := vedette.Monitor{URL: site.URL + "/slow", Timeout: time.Second, Probe: vedette.Raw("{" + trust + "}")}
	want(t, lookWith(t, check.Config{}, slow), vedette.Down, "timeout transfer")
	one := secureSite(t, a.issue(t, 60), false, nil, h)
	want(t, look(t, one.URL, "{"+trust+`,"request":{"http":"2"}}`), vedette.Down, "HTTP/2")
}

func TestHTTP2InTheClear(t *testing.T) {
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }))
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	srv.Config.Protocols = &p
	srv.Start()
	defer srv.Close()
	want(t, look(t, srv.URL, `{"request":{"http":"2"},"contains":["HTTP/2.0"]}`), vedette.Up)
	want(t, look(t, srv.URL, `{"contains":["HTTP/1.1"]}`), vedette.Up)
	want(t, look(t, says(t, "HTTP/1.1 400 Bad\r\n\r\n"), `{"request":{"http":"2"}}`), vedette.Down)
}

func TestConnectionsAreKeptOnRequest(t *testing.T) {
	a := newAuthority(t)
	for _, h2 := range []bool{false, true} {
		var accepted atomic.Int32
		site := httptest.NewUnstartedServer(http.HandlerFunc(ok))
		site.EnableHTTP2 = h2
		site.TLS = &tls.Config{Certificates: []tls.Certificate{a.issue(t, 60)}, MinVersion: tls.VersionTLS12}
		site.Config.ConnState = func(_ net.Conn, s http.ConnState) {
			if s == http.StateNew {
				accepted.Add(1)
			}
		}
		site.StartTLS()
		c, _ := check.New(check.Config{})
		once, err := c.Compile(vedette.Monitor{URL: site.URL, Timeout: 5 * time.Second, Probe: vedette.Raw(`{"request":{"reuse":true},"tls":{"ca_file":"` + a.file + `"}}`)})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 3 {
			r := once(t.Context())
			want(t, r, vedette.Up)
			if (r.Phases.Connect == 0) != (i > 0) || r.CertNotAfter.IsZero() {
				t.Errorf("h2 %v, look %d: %+v", h2, i, r)
			}
		}
		site.CloseClientConnections()
		want(t, once(t.Context()), vedette.Up)
		if site.Close(); accepted.Load() != 2 {
			t.Errorf("h2 %v: %d connections, want 2", h2, accepted.Load())
		}
		want(t, once(t.Context()), vedette.Down, "refused")
	}
}
