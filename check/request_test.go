package check_test

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
)

func quiet() *log.Logger { return log.New(io.Discard, "", 0) } //nolint:forbidigo // net/http wants one

// echo answers with the request as it came.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = fmt.Fprintf(w, "%s %s %s\n", r.Method, r.RequestURI, r.Host)
	_ = r.Header.Write(w)
	_, _ = fmt.Fprintf(w, "\n%s", body)
}

func TestRequestsAreAskedAsSaid(t *testing.T) {
	url := serve(t, echo)
	host := strings.TrimPrefix(url, "http://")
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	if err := os.WriteFile(file, []byte("from file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) (string, bool) { v, ok := map[string]string{"TOKEN": "t0ken"}[name]; return v, ok }
	for _, c := range []struct{ path, request, want string }{
		{"", `{}`, "GET / " + host},
		{"/a?b=c", `{}`, "GET /a?b=c " + host},
		{"", `{}`, "User-Agent: Vedette/1.2"},
		{"", `{}`, "Accept-Encoding: gzip\r\n"},
		{"", `{}`, "Connection: close\r\n"},
		{"", `{"method":"DELETE"}`, "DELETE / "},
		{"", `{"body":"hello"}`, "POST / "},
		{"", `{"body":"hello"}`, "Content-Length: 5\r\n"},
		{"", `{"body":"hello"}`, "\n\nhello"},
		{"", `{"method":"PUT"}`, "Content-Length: 0\r\n"},
		{"", `{"body_file":"` + file + `"}`, "\nfrom file\n"},
		{"", `{"headers":{"X-A":"${TOKEN}","User-Agent":"me"}}`, "X-A: t0ken\r\n"},
		{"", `{"headers":{"X-A":"${NONE:-fallback} $$5"}}`, "X-A: fallback $5\r\n"},
		{"", `{"headers":{"User-Agent":"me"}}`, "User-Agent: me\r\n"},
		{"", `{"headers":{"host":"other.test"}}`, "GET / other.test"},
		{"", `{"headers":{"X-A":{"file":"` + file + `"}}}`, "X-A: from file\r\n"},
		{"", `{"basic_auth":{"username":"u","password":"p"}}`, "Authorization: Basic dTpw\r\n"},
		{"", `{"bearer":"${TOKEN}"}`, "Authorization: Bearer t0ken\r\n"},
	} {
		m := vedette.Monitor{URL: url + c.path, Probe: vedette.Raw(fmt.Sprintf(`{"request":%s,"contains":[%q]}`, c.request, c.want))}
		r := lookWith(t, check.Config{Version: "1.2", Env: env}, m)
		if r.State != vedette.Up {
			t.Errorf("%s: %s\n%s", c.request, r.Failure.Message, r.Failure.Evidence.Body)
		}
	}
	with := strings.Replace(url, "http://", "http://me:pw@", 1)
	want(t, look(t, with, `{"contains":["Authorization: Basic bWU6cHc="]}`), vedette.Up)
	want(t, look(t, url, `{"request":{"method":"HEAD"},"expect":["size == 0"]}`), vedette.Up)
}

func TestSecretsAreNeverShown(t *testing.T) {
	url := serve(t, echo)
	env := func(string) (string, bool) { return "s3cret-value", true }
	m := vedette.Monitor{URL: url, Probe: vedette.Raw(`{"request":{"bearer":"${T}","headers":{"X-Api-Key":"k3y-value"}},"expect":["body == \"\""]}`)}
	r := lookWith(t, check.Config{Env: env}, m)
	want(t, r, vedette.Down, "body = ")
	shown := r.Failure.Message + r.Failure.Evidence.Body
	if strings.Contains(shown, "s3cret") || strings.Contains(shown, "k3y") || !strings.Contains(shown, "***") {
		t.Errorf("shown: %s", shown)
	}
}

func TestMissingSecretIsOurFault(t *testing.T) {
	want(t, look(t, serve(t, ok), `{"request":{"bearer":"${NONE}"}}`), vedette.Unknown, "internal dns request: environment variable NONE is not set")
	want(t, look(t, serve(t, ok), `{"request":{"headers":{"X-A":"a\nb"}}}`), vedette.Unknown, "line break")
	want(t, look(t, serve(t, ok), `{"request":{"bearer":{"file":"/none/such"}}}`), vedette.Unknown, "read secret")
}

func TestRedirectsAsBrowsersDo(t *testing.T) {
	other := serve(t, echo)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var code int
		if n, _ := fmt.Sscanf(r.URL.Path, "/%d", &code); n == 0 {
			echo(w, r)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "c", Value: "1", Path: "/"})
		to := r.URL.Query().Get("to")
		http.Redirect(w, r, to+"/end", code)
	})
	for _, c := range []struct {
		path, request string
		has, lacks    string
	}{
		{"/301", `{"body":"b"}`, "GET /end", "Content-Length"},
		{"/302", `{"body":"b"}`, "GET /end", "\n\nb"},
		{"/303", `{"method":"PUT","body":"b"}`, "GET /end", "\n\nb"},
		{"/307", `{"body":"b"}`, "POST /end", "none"},
		{"/308", `{"method":"PUT","body":"hello"}`, "\n\nhello", "none"},
		{"/302", `{"method":"HEAD"}`, "", "none"},
		{"/302", `{}`, "Cookie: c=1", "none"},
		{"/302", `{"bearer":"t0ken","headers":{"X-A":"plain"}}`, "Authorization: Bearer t0ken", "none"},
		{"/302?to=" + other, `{"bearer":"t0ken","headers":{"X-A":"plain"}}`, "X-A: plain", "Authorization"},
		{"/302?to=" + other, `{"headers":{"Cookie":"mine=1"}}`, "GET /end", "mine"},
		{"/302?to=" + strings.Replace(other, "127.0.0.1", "localhost", 1), `{}`, "GET /end", "Cookie: c=1"},
	} {
		r := look(t, url+c.path, fmt.Sprintf(`{"request":%s,"contains":[%q],"not_contains":[%q]}`, c.request, c.has, c.lacks))
		want(t, r, vedette.Up)
		if len(r.Hops) != 2 || r.Hops[1].Addr == "" {
			t.Errorf("%s: hops are %+v", c.path, r.Hops)
		}
	}
	want(t, look(t, url+"/302", `{"request":{"follow_redirects":0}}`), vedette.Down, "status is 302, want 200-299")
	want(t, look(t, url+"/302", `{"request":{"follow_redirects":0},"status":["3xx"]}`), vedette.Up)
	want(t, look(t, url+"/302", `{"request":{"follow_redirects":1},"expect":["redirects == 1 and url endsWith \"/end\""]}`), vedette.Up)
}

func TestFirstURLOfAFileMayGoAnywhereButForbidden(t *testing.T) {
	m := vedette.Monitor{URL: "http://169.254.169.254:1/", Timeout: 50 * time.Millisecond}
	want(t, lookWith(t, check.Config{}, m), vedette.Down, "forbidden connect")
	m.Origin = "vedette.yaml:3"
	if r := lookWith(t, check.Config{}, m); r.State == vedette.Up || r.Failure.Kind == vedette.KindForbidden {
		t.Errorf("a file's own URL: %+v", r.Failure)
	}
	m.URL = sending(t, "http://169.254.169.254/")
	want(t, lookWith(t, check.Config{}, m), vedette.Down, "forbidden connect 169.254.169.254")
	m.URL = serve(t, ok)
	want(t, lookWith(t, check.Config{Forbidden: loopback()}, m), vedette.Down, "forbidden connect 127.0.0.1 lies in the forbidden network 127.0.0.0/8")
	m.URL = strings.Replace(m.URL, "127.0.0.1", "localhost", 1)
	m.Probe = vedette.Raw(`{"ip":"4"}`)
	want(t, lookWith(t, check.Config{Forbidden: loopback()}, m), vedette.Down, "forbidden connect 127.0.0.1")
}

// proxy is a small HTTP proxy that counts what it did.
func proxy(t testing.TB, did *[]string) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		*did = append(*did, r.Method+" "+r.RequestURI+" "+r.Header.Get("Proxy-Authorization"))
		if r.Method != http.MethodConnect {
			r.RequestURI = ""
			resp, err := new(http.Transport).RoundTrip(r)
			if err != nil {
				w.WriteHeader(502)
				return
			}
			_, _ = io.Copy(w, resp.Body)
			return
		}
		far, err := new(net.Dialer).DialContext(r.Context(), "tcp", r.RequestURI)
		if err != nil {
			w.WriteHeader(502)
			return
		}
		near, sent, _ := w.(http.Hijacker).Hijack()
		_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(far, sent); _ = far.Close() }()
		_, _ = io.Copy(near, far)
		_ = near.Close()
	})
}

func TestProxies(t *testing.T) {
	var did []string
	p := strings.Replace(proxy(t, &did), "http://", "http://u:pw@", 1)
	url := serve(t, ok)
	a := newAuthority(t)
	site := secureSite(t, a.issue(t, 60), true, nil, ok)
	opts := `{"request":{"proxy_url":"` + p + `"},"json":{"$.status":"ok"}`
	want(t, look(t, url, opts+"}"), vedette.Up)
	want(t, look(t, site.URL, opts+`,"tls":{"ca_file":"`+a.file+`"}}`), vedette.Up)
	if len(did) != 2 || did[0] != "GET "+url+"/ Basic dTpwdw==" || did[1] != "CONNECT "+strings.TrimPrefix(site.URL, "https://")+" Basic dTpwdw==" {
		t.Errorf("the proxy did %q", did)
	}
	want(t, look(t, "https://"+closed(t), opts+"}"), vedette.Down, "unreachable connect proxy 127.0.0.1: answered 502 Bad Gateway to CONNECT")
	want(t, look(t, url, `{"request":{"proxy_url":"http://`+closed(t)+`"}}`), vedette.Down, "refused connect")
	want(t, look(t, "http://169.254.169.254/", opts+"}"), vedette.Down, "forbidden")
}

func TestSOCKS(t *testing.T) {
	url := serve(t, ok)
	var asked string
	socks := bare(t, func(conn net.Conn) {
		b := make([]byte, 300)
		_, _ = io.ReadFull(conn, b[:2])
		_, _ = io.ReadFull(conn, b[:b[1]])
		_, _ = conn.Write([]byte{5, 0})
		_, _ = io.ReadFull(conn, b[:4])
		n := 4 + 2
		if b[3] == 3 {
			_, _ = io.ReadFull(conn, b[:1])
			n = int(b[0]) + 2
		}
		_, _ = io.ReadFull(conn, b[:n])
		asked = string(b[:n-2])
		far, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 80})
		go func() { _, _ = io.Copy(far, conn); _ = far.Close() }()
		_, _ = io.Copy(conn, far)
	})
	want(t, look(t, "http://far.invalid/", `{"request":{"proxy_url":"socks5://`+socks+`"}}`), vedette.Up)
	if asked != "far.invalid" {
		t.Errorf("the proxy was asked for %q: it should resolve the name", asked)
	}
	want(t, look(t, url, `{"request":{"proxy_url":"socks5://`+bare(t, func(c net.Conn) { _, _ = c.Write([]byte{5, 255}) })+`"}}`), vedette.Down, "unreachable connect proxy")
}

func TestAnswerBeforeTheBodyIsReadCounts(t *testing.T) {
	addr := bare(t, func(conn net.Conn) {
		b := make([]byte, 100)
		_, _ = conn.Read(b)
		_, _ = io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
	})
	r := look(t, "http://"+addr, options(t, check.Options{Status: []string{"413"}, Request: check.Request{Body: check.Secret{Text: strings.Repeat("x", 200_000)}}}))
	if r.State != vedette.Up && r.Failure.Kind != vedette.KindReset {
		t.Errorf("got %+v", r.Failure)
	}
}

func TestSlowInterimAnswersAreSkipped(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		ok(w, r)
	}))
	defer srv.Close()
	want(t, look(t, srv.URL, `{"expect":["status == 200"]}`), vedette.Up)
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} }
