package check_test

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
)

// look compiles a monitor of this URL and options in JSON, and looks once.
func look(t testing.TB, url, options string) vedette.Result {
	t.Helper()
	return lookWith(t, check.Config{}, vedette.Monitor{URL: url, Probe: vedette.Raw(options), Timeout: 5 * time.Second})
}

func lookWith(t testing.TB, c check.Config, m vedette.Monitor) vedette.Result {
	t.Helper()
	checker, err := check.New(c)
	if err != nil {
		t.Fatal(err)
	}
	once, err := checker.Compile(m)
	if err != nil {
		t.Fatalf("compile %s %s: %v", m.URL, m.Probe, err)
	}
	r := once(t.Context())
	if (r.Failure == nil) != (r.State == vedette.Up) {
		t.Errorf("state %s with failure %v", r.State, r.Failure)
	}
	return r
}

// want checks the outcome of a look: its state, and parts of "kind phase message".
func want(t testing.TB, r vedette.Result, state vedette.State, parts ...string) {
	t.Helper()
	said := ""
	if f := r.Failure; f != nil {
		said = fmt.Sprintf("%s %s %s", f.Kind, f.Phase, f.Message)
	}
	if r.State != state {
		t.Errorf("got %s (%s), want %s", r.State, said, state)
	}
	for _, p := range parts {
		if !strings.Contains(said, p) {
			t.Errorf("got %q, want it to hold %q", said, p)
		}
	}
}

// raw serves every connection with f, which has read the head of a request.
func raw(t testing.TB, f func(conn net.Conn)) (addr string) {
	t.Helper()
	return bare(t, func(conn net.Conn) {
		br := bufio.NewReader(conn)
		for {
			line, err := br.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				break
			}
		}
		f(conn)
	})
}

// bare serves every connection with f, on loopback.
func bare(t testing.TB, f func(conn net.Conn)) (addr string) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				f(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// says serves a fixed answer, byte for byte.
func says(t testing.TB, answer string) (url string) {
	t.Helper()
	return "http://" + raw(t, func(conn net.Conn) { _, _ = io.WriteString(conn, answer) })
}

// closed returns an address where nobody listens, and nobody will: it is the near end of a
// connection.
func closed(t testing.TB) string {
	t.Helper()
	far := bare(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", far)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.LocalAddr().String()
}

func ok(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"status":"ok","q":5120}`) }

func TestPlainSiteIsUp(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(ok))
	defer srv.Close()
	r := look(t, srv.URL, ``)
	want(t, r, vedette.Up)
	if r.Code != 200 || r.Addr != strings.TrimPrefix(srv.URL, "http://") || r.Hops != nil {
		t.Errorf("got %+v", r)
	}
	p := r.Phases
	if p.Connect <= 0 || p.Request <= 0 || p.TTFB <= 0 || p.Transfer <= 0 || p.TLS != 0 {
		t.Errorf("phases are %+v", p)
	}
}

func TestPhasesHoldAllTheTime(t *testing.T) {
	const wait = 250 * time.Millisecond // longer than a busy machine lets us wait
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		timer := time.NewTimer(wait)
		<-timer.C
		if r.URL.Path == "/go" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		w.WriteHeader(200)
		w.(http.Flusher).Flush()
		timer.Reset(wait)
		<-timer.C
		ok(w, r)
	}))
	defer srv.Close()
	begin := time.Now()
	r := look(t, srv.URL+"/go", ``)
	took := time.Since(begin) // with what it takes to compile: a wait that no phase holds is longer
	want(t, r, vedette.Up)
	if r.Phases.TTFB < 2*wait || r.Phases.Transfer < wait {
		t.Errorf("phases are %+v", r.Phases)
	}
	if total := r.Phases.Total(); total > took || took-total > wait {
		t.Errorf("the phases add up to %v of %v", total, took)
	}
	if len(r.Hops) != 2 || r.Hops[0].Code != 302 || r.Hops[1].Code != 200 {
		t.Fatalf("hops are %+v", r.Hops)
	}
	if sum := r.Hops[0].Phases.Add(r.Hops[1].Phases); sum != r.Phases {
		t.Errorf("the hops add up to %+v, want %+v", sum, r.Phases)
	}
}

func TestFailuresOfSites(t *testing.T) {
	chunked := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for _, c := range []struct {
		name, url string
		want      []string
	}{
		{"refused", "http://" + closed(t), []string{"refused connect connection refused by 127.0.0.1:"}},
		{"no such name", "http://nothing.invalid/", []string{"dns dns nothing.invalid does not resolve"}},
		{"wrong status", says(t, "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\nno"), []string{"status  status is 503, want 200-299"}},
		{"closes at once", says(t, ""), []string{"reset ttfb", "without an answer"}},
		{"garbage", says(t, "SSH-2.0-OpenSSH\r\n\r\n"), []string{"protocol transfer", "SSH-2.0"}},
		{"cut head", says(t, "HTTP/1.1 200 OK\r\nX-A: "), []string{"truncated transfer"}},
		{"short body", says(t, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"), []string{"truncated transfer the body ends after 3 of 10 bytes"}},
		{"cut chunks", says(t, chunked+"5\r\nab"), []string{"truncated transfer"}},
		{"bad chunk", says(t, chunked+"zz\r\nab\r\n"), []string{"protocol transfer"}},
		{"endless header", says(t, "HTTP/1.1 200 OK\r\n"+strings.Repeat("X-A: aaaaaaaaaaaaaaaa\r\n", 9000)), []string{"protocol transfer", "64KiB"}},
		{"endless interim answers", says(t, strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 9000)), []string{"protocol transfer", "64KiB"}},
		{"endless chunk extension", says(t, chunked+"1;"+strings.Repeat("a", 1<<20)), []string{"protocol transfer"}},
		{"gzip that is none", says(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 20\r\n\r\nthis is not gzip ..."), []string{"protocol transfer", "is not the gzip"}},
		{"speaks TLS only to plain", "https://" + bare(t, func(conn net.Conn) { _, _ = io.WriteString(conn, "220 mail ready\r\n") }), []string{"tls tls TLS handshake", "it does not speak TLS"}},
		{"redirect without end", redirecting(t), []string{"redirect  more than 10 redirects: http://127.0.0.1"}},
		{"redirect loop", looping(t), []string{"redirect  redirects go round in a circle: http://127", "/a → http://", "/b"}},
		{"redirect to metadata", sending(t, "http://169.254.169.254/latest/meta-data"), []string{"forbidden connect 169.254.169.254 lies in the forbidden network 169.254.0.0/16"}},
		{"redirect to metadata by name", sending(t, "http://metadata.google.internal/"), []string{"forbidden dns metadata.google.internal must not"}},
		{"redirect to mapped metadata", sending(t, "http://[::ffff:169.254.169.254]/"), []string{"forbidden"}},
		{"redirect to unspecified", sending(t, "http://0.0.0.0/"), []string{"forbidden"}},
		{"redirect to another scheme", sending(t, "ftp://127.0.0.1/"), []string{"redirect  redirect to ftp://127.0.0.1/, which may not be followed"}},
		{"redirect to a closed port", sending(t, "http://"+closed(t)+"/"), []string{"refused connect"}},
		{"redirect to nowhere", sending(t, "http://[::1"), []string{"redirect  redirect to"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := look(t, c.url, `{}`)
			want(t, r, vedette.Down, c.want...)
			var sum vedette.Phases
			for _, h := range r.Hops {
				sum = sum.Add(h.Phases)
			}
			if len(r.Hops) > 0 && sum != r.Phases {
				t.Errorf("the hops add up to %+v, the look to %+v", sum, r.Phases)
			}
			if n := len(r.Hops); n > 0 && r.Hops[n-1].Code != r.Code {
				t.Errorf("the code is %d, that of the last hop %d", r.Code, r.Hops[n-1].Code)
			}
		})
	}
}

func redirecting(t testing.TB) string {
	n := 0
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		n++
		http.Redirect(w, r, fmt.Sprintf("/%d", n), http.StatusFound)
	})
}

func looping(t testing.TB) string {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		to := "/a"
		if r.URL.Path == "/a" {
			to = "/b"
		}
		http.Redirect(w, r, to, http.StatusFound)
	})
}

func sending(t testing.TB, location string) string {
	return says(t, "HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: "+location+"\r\n\r\n")
}

func serve(t testing.TB, h http.HandlerFunc) (url string) {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestTimeoutSaysInWhichPhase(t *testing.T) {
	const timeout = 400 * time.Millisecond // connecting has to fit in
	silent := bare(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })
	half := raw(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
		_, _ = io.Copy(io.Discard, conn)
	})
	for url, phase := range map[string]string{
		"http://" + silent:  "timeout ttfb no answer within 400ms (waited",
		"https://" + silent: "timeout tls no answer within 400ms",
		"tls://" + silent:   "for the TLS handshake",
		"http://" + half:    "for the rest of the answer",
	} {
		begin := time.Now()
		r := lookWith(t, check.Config{}, vedette.Monitor{URL: url, Timeout: timeout})
		want(t, r, vedette.Down, phase)
		if took := time.Since(begin); took > 10*timeout || r.Phases.Total() < timeout {
			t.Errorf("%s: took %v, phases %+v", url, took, r.Phases)
		}
	}
}

func TestDrippingServerEndsAtTheTimeout(t *testing.T) {
	drip := raw(t, func(conn net.Conn) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := io.WriteString(conn, "H"); err != nil {
				return
			}
		}
	})
	r := lookWith(t, check.Config{}, vedette.Monitor{URL: "http://" + drip, Timeout: time.Second})
	want(t, r, vedette.Down, "timeout transfer")
}

func TestCancelledLookSaysNothingAboutTheSite(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	silent := raw(t, func(conn net.Conn) {
		cancel()
		_, _ = io.Copy(io.Discard, conn)
	})
	c, _ := check.New(check.Config{})
	for _, url := range []string{"http://" + silent, "tcp://" + silent, "dns://127.0.0.1:9/x"} {
		once, err := c.Compile(vedette.Monitor{URL: url, Timeout: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		want(t, once(ctx), vedette.Unknown, "internal", "cancelled")
	}
	ctx, cancel = context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	once, _ := c.Compile(vedette.Monitor{URL: "http://" + bare(t, func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) })})
	want(t, once(ctx), vedette.Down, "timeout ttfb")
}

func TestExpectations(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("X-Many", "a")
		w.Header().Add("X-Many", "b")
		w.Header().Set("Set-Cookie", "id=s3cret; Path=/")
		if r.URL.Path == "/text" {
			_, _ = io.WriteString(w, "Example Domain")
			return
		}
		ok(w, r)
	})
	for _, c := range []struct {
		path, options string
		state         vedette.State
		want          string
	}{
		{"/", `{"expect":["status == 200 and total < \"2s\" and first_byte <= total"]}`, vedette.Up, ""},
		{"/", `{"expect":["json(\"$.q\") < 1000"]}`, vedette.Down, `expectation  json("$.q") < 1000 is false: json("$.q") = 5120`},
		{"/", `{"warn":["json(\"$.q\") < 1000"]}`, vedette.Degraded, `json("$.q") = 5120`},
		{"/", `{"expect":[{"that":"json(\"$.q\") < 1000","say":"queue too long"}]}`, vedette.Down, `queue too long: json("$.q") = 5120`},
		{"/", `{"expect":["json(\"$.none\") == 1"]}`, vedette.Down, `expectation  json("$.none") == 1 cannot be told: the body has no $.none`},
		{"/", `{"expect":["json(\"$.q\") startsWith \"x\""]}`, vedette.Down, `expectation  `},
		{"/text", `{"expect":["json(\"$.q\") == 1"]}`, vedette.Down, `content  json("$.q") == 1 cannot be told: the body is not JSON`},
		{"/", `{"json":{"$.status":"ok","$.q":5120}}`, vedette.Up, ""},
		{"/", `{"json":{"$.status":"bad"}}`, vedette.Down, `content  json("$.status") == "bad" is false: json("$.status") = "ok"`},
		{"/text", `{"pattern":["^Exa.*in$"],"contains":["Domain"],"not_pattern":["x{9}"],"not_contains":["zebra"]}`, vedette.Up, ""},
		{"/text", `{"pattern":["zebra"]}`, vedette.Down, `content  body matches "zebra" is false: body = "Example Domain"`},
		{"/text", `{"not_contains":["Domain"]}`, vedette.Down, `content  not (body contains "Domain") is false`},
		{"/text", `{"expect":["size == 14 and not truncated and len(body) == size"]}`, vedette.Up, ""},
		{"/text", `{"request":{"max_body":"5B"},"expect":["size == 5 and truncated and body == \"Examp\""]}`, vedette.Up, ""},
		{"/text", `{"request":{"max_body":"14B"},"expect":["not truncated"]}`, vedette.Up, ""},
		{"/text", `{"request":{"max_body":"5B"},"contains":["Domain"]}`, vedette.Down, "(only the first 5B was read)"},
		{"/", `{"header":{"X-Many":"a"},"expect":["headers(\"x-many\") == [\"a\", \"b\"] and header(\"none\") == \"\""]}`, vedette.Up, ""},
		{"/", `{"header":{"X-Many":"c"}}`, vedette.Down, `expectation  header("X-Many") == "c" is false: header("X-Many") = "a"`},
		{"/", `{"expect":["header(\"Set-Cookie\") == \"\""]}`, vedette.Down, `header("Set-Cookie") = "id=***; Path=/"`},
		{"/", `{"max_time":1}`, vedette.Down, `expectation  total <= "1ns" is false: total = `},
		{"/", `{"max_time":60000000000}`, vedette.Up, ""},
		{"/", `{"status":["any"]}`, vedette.Up, ""},
		{"/", `{"status":["404","5xx"]}`, vedette.Down, "status  status is 200, want 404, 5xx"},
		{"/", `{"expect":["family == 4 and ip == \"127.0.0.1\" and proto == \"HTTP/1.1\" and redirects == 0"]}`, vedette.Up, ""},
		{"/", `{"expect":["phases.dns + phases.connect + phases.tls + phases.request + phases.ttfb + phases.transfer == total"]}`, vedette.Up, ""},
		{"/", `{"fails_with":["refused"]}`, vedette.Down, "expectation  the look succeeded, want it to fail with refused"},
		{"/", `{"fails_with":["status"],"status":["500"]}`, vedette.Up, ""},
		{"/", `{"fails_with":["refused"],"status":["500"]}`, vedette.Down, "status  status is 200, want 500, want refused"},
	} {
		r := look(t, url+c.path, c.options)
		want(t, r, c.state, c.want)
		if t.Failed() {
			t.Fatalf("%s %s", c.path, c.options)
		}
		if f := r.Failure; f != nil && (f.Evidence == nil || f.Evidence.Header["Set-Cookie"][0] != "id=***" || f.Evidence.Body == "") {
			t.Errorf("%s: evidence is %+v", c.options, f.Evidence)
		}
	}
	want(t, look(t, "http://"+closed(t), `{"fails_with":["refused","timeout"]}`), vedette.Up)
}

func TestEncodedBodies(t *testing.T) {
	var mega bytes.Buffer // a MiB, packed before anybody waits for it
	z := gzip.NewWriter(&mega)
	_, err := z.Write(make([]byte, 1<<20))
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		enc := strings.Trim(r.URL.Path, "/")
		w.Header().Set("Content-Encoding", strings.TrimPrefix(enc, "empty-"))
		var z io.WriteCloser
		switch enc {
		case "gzip":
			z = gzip.NewWriter(w)
		case "deflate":
			z = zlib.NewWriter(w)
		case "bomb":
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bytes.Repeat(mega.Bytes(), 64))
			return
		default:
			return
		}
		_, _ = io.WriteString(z, "Example Domain")
		_ = z.Close()
	})
	for _, enc := range []string{"gzip", "deflate"} {
		want(t, look(t, url+"/"+enc, `{"expect":["body == \"Example Domain\" and size == 14"]}`), vedette.Up)
	}
	want(t, look(t, url+"/empty-gzip", `{"expect":["size == 0"]}`), vedette.Up)
	want(t, look(t, url+"/bomb", `{"expect":["truncated and size == 1048576"]}`), vedette.Up)
	want(t, look(t, says(t, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 12\r\n\r\n\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\x01\x02"), ``), vedette.Down, "truncated transfer")
}

func TestLookIsComplete(t *testing.T) {
	url := serve(t, ok)
	r, err := check.Look(t.Context(), vedette.Monitor{ID: "home", URL: url})
	if err != nil || r.State != vedette.Up || r.Monitor != "home" || !r.ID.Time().Equal(r.StartedAt) {
		t.Errorf("got %+v, %v", r, err)
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	_, err = check.Look(t.Context(), vedette.Monitor{URL: "htp://x"})
	if _, ok := errors.AsType[vedette.Mistakes](err); !ok {
		t.Errorf("got %v, want Mistakes", err)
	}
}

func TestMinimalSuccessKeepsNoEvidence(t *testing.T) {
	c, _ := check.New(check.Config{})
	once, err := c.Compile(vedette.Monitor{URL: says(t, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")})
	if err != nil {
		t.Fatal(err)
	}
	once(t.Context())
	if n := testing.AllocsPerRun(50, func() { once(context.Background()) }); n > 75 {
		t.Errorf("a look at a site that is up allocates %v times, with those of the server", n)
	}
}

func TestMistakeInURLDoesNotQuoteThePassword(t *testing.T) {
	_, err := check.Look(t.Context(), vedette.Monitor{URL: "https://u:hunter2/x@example.com/"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("Look: %v, want a mistake without the password", err)
	}
}
