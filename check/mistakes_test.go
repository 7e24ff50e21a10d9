package check_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vedettehq/vedette"
	"github.com/vedettehq/vedette/check"
)

func mistakes(t testing.TB, url, probe string) vedette.Mistakes {
	t.Helper()
	c, err := check.New(check.Config{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Compile(vedette.Monitor{URL: url, Probe: vedette.Raw(probe)})
	var m vedette.Mistakes
	if err != nil && !errors.As(err, &m) {
		t.Fatalf("got %v, want Mistakes", err)
	}
	return m
}

func TestMistakesNameTheKeyAndTeach(t *testing.T) {
	for _, c := range []struct{ url, probe, want string }{
		{"", ``, "url: a monitor needs a url"},
		{"example.com", ``, "url: the URL has no scheme (did you mean https://example.com?)"},
		{"htps://example.com", ``, "url: unknown scheme htps (did you mean https?)"},
		{"gopher://example.com", ``, "url: unknown scheme gopher (there are http, https, tcp, tls, dns)"},
		{"http://", ``, "url: the URL has no host"},
		{"http://a b/", ``, "url: this is no URL"},
		{"http://x:99999/", ``, `url: "99999" is no port`},
		{"tcp://example.com", ``, "url: the URL has no port: want tcp://example.com:PORT"},
		{"tls://example.com", ``, "url: the URL has no port"},
		{"tcp://example.com:25/x", ``, "url: tcp checks go to a host and port only (want tcp://example.com:25)"},
		{"dns://1.1.1.1/", ``, "url: the URL has no name to ask for (want dns://1.1.1.1/example.com)"},
		{"dns://1.1.1.1/x?type=AAAAA", ``, "url: unknown type AAAAA (did you mean AAAA?)"},
		{"dns://1.1.1.1/x?class=CH", ``, "url: only class IN"},
		{"dns://1.1.1.1/x?foo=1", ``, "url: a dns URL has no foo (want ?type=A)"},
		{"http://x", `{"expekt":["x"]}`, "expekt: unknown key (did you mean expect?)"},
		{"http://x", `{"request":{"methid":"GET"}}`, "request.methid: unknown key (did you mean method?)"},
		{"http://x", `{"request":3}`, "request: want keys with values, not 3"},
		{"http://x", `{"status":"200"}`, `status: want a list, not "200"`},
		{"http://x", `{"request":{"bearer":3}}`, "request.bearer: a secret is a string"},
		{"http://x", `{"request":{"max_body":"5"}}`, "request.max_body: size 5 has no unit: did you mean 5B or 5MiB?"},
		{"http://x", `{"request":{"max_body":"5GiB"}}`, "request.max_body: want at most 1GiB"},
		{"http://x", `{"status":["200","2000"]}`, `status[1]: "2000" is no status: want 200, 2xx, 200-299 or any`},
		{"http://x", `{"status":["299-200"]}`, `status[0]: "299-200" is empty: did you mean 200-299?`},
		{"http://x", `{"pattern":["ok","a(b"]}`, "pattern[1]: missing closing ): a(b"},
		{"http://x", `{"expect":["status == 200","totl < \"2s\""]}`, "expect[1]: unknown name totl (did you mean total?)"},
		{"http://x", `{"warn":["total < 2"]}`, `warn[0]: total is a duration, 2 is a bare number (did you mean "2s" or "2ms"?)`},
		{"http://x", `{"expect":["cert.days > 3"]}`, "expect[0]: cert.days is known only for https and tls"},
		{"tcp://x:1", `{"expect":["status == 200"]}`, "expect[0]: status is known only for http and https"},
		{"tcp://x:1", `{"request":{"method":"GET"}}`, "request: tcp checks have no request (it is for http, https)"},
		{"dns://1.1.1.1/x", `{"tls":{}}`, "tls: dns checks have no tls (it is for https, tls)"},
		{"http://x", `{"json":{"status":"ok"}}`, `json.status: the path "status" does not begin with $`},
		{"http://x", `{"json":{"$.a":[1]}}`, "json.$.a: want a text, a number"},
		{"http://x", `{"expect":["json(\"$..a..b\") == 1"]}`, "want .. at most once"},
		{"http://x", `{"fails_with":["refusd"]}`, `fails_with[0]: "refusd" is no kind of failure of a site (did you mean refused?)`},
		{"http://x", `{"fails_with":["internal"]}`, `fails_with[0]: "internal" is no kind`},
		{"http://x", `{"ip":"5"}`, `ip: "5" is not one of auto, 4, 6, both`},
		{"http://x", `{"resolver":"a b"}`, `resolver: "a b" is no server`},
		{"http://x", `{"request":{"http":"3"}}`, `request.http: "3" is not one of auto, 1, 2`},
		{"http://x", `{"request":{"method":"G ET"}}`, `request.method: "G ET" is no method`},
		{"http://x", `{"request":{"headers":{"a b":"c"}}}`, `request.headers.a b: "a b" is no header name`},
		{"http://x", `{"request":{"headers":{"Content-Length":"1"}}}`, "set by the checker itself"},
		{"http://x", `{"request":{"body":"x","body_file":"/dev/null"}}`, "request.body_file: there is a body already (keep one of body and body_file)"},
		{"http://x", `{"request":{"bearer":"x","basic_auth":{"username":"u"}}}`, "request.bearer: there is basic_auth already"},
		{"http://x", `{"request":{"follow_redirects":-1}}`, "request.follow_redirects: want a number from 0 to 100"},
		{"http://x", `{"request":{"proxy_url":"ftp://x"}}`, "request.proxy_url: proxies speak http, https or socks5, not ftp"},
		{"https://x", `{"tls":{"ca_file":"/none/such.pem"}}`, "tls.ca_file: cannot read it: open /none/such.pem"},
		{"https://x", `{"tls":{"ca_file":"/dev/null"}}`, "tls.ca_file: /dev/null holds no certificate in PEM"},
		{"https://x", `{"tls":{"cert_file":"/dev/null"}}`, "tls.cert_file: a client certificate needs cert_file and key_file"},
		{"https://x", `{"tls":{"min_version":"1.4"}}`, "tls.min_version: there is no TLS 1.4"},
		{"dns://1.1.1.1/x", `{"rcode":["NXDOMAN"]}`, `rcode[0]: "NXDOMAN" is no response code`},
		{"http://x", `[1]`, "want keys with values, not [1]"},
	} {
		if got := mistakes(t, c.url, c.probe).Error(); !strings.Contains(got, c.want) || strings.Contains(got, "\n") {
			t.Errorf("%s %s:\n got %q\nwant %q", c.url, c.probe, got, c.want)
		}
	}
}

func TestAllMistakesAreReportedAtOnce(t *testing.T) {
	got := mistakes(t, "tcp://example.com", `{"status":["x"],"request":{"method":"G ET","x":1},"expect":["total < 2"]}`)
	var paths []string
	for _, m := range got {
		paths = append(paths, m.Path)
	}
	want := []string{"url", "request.x", "status", "request", "expect[0]", "request.method"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
	if m := mistakes(t, "http://x", `{"expect":["status == 200 and totl > 1"]}`); m[0].Offset != 18 {
		t.Errorf("offset is %d, want 18", m[0].Offset)
	}
}

func TestSoundMonitorsHaveNoMistakes(t *testing.T) {
	for _, url := range []string{
		"http://example.com", "https://[::1]:8443/a?b=c", "http://user:pw@127.0.0.1/", "HTTP://EXAMPLE.COM",
		"https://bücher.example/", "tcp://[::1]:22", "tls://example.com:443", "dns:///example.com", "dns://9.9.9.9/example.com?type=MX",
	} {
		if m := mistakes(t, url, ``); m != nil {
			t.Errorf("%s: %v", url, m)
		}
	}
}

func TestShorthandsExpandToOneExpressionEach(t *testing.T) {
	all, err := check.Expand(vedette.Monitor{URL: "https://x", Probe: vedette.Raw(`{
		"status":["200","2xx","300-399"],"pattern":["a\"b"],"not_pattern":["c"],"contains":["d"],"not_contains":["e"],
		"max_time":1500000000,"cert_days":7,"json":{"$.a":"b","$.n":1.5,"$.t":true,"$.z":null},"header":{"X-A":"b"},
		"expect":["status == 200",{"that":"total < \"2s\"","say":"slow"}]}`)})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range all {
		got = append(got, fmt.Sprintf("%s|%s|%s|%v|%v|%s", e.Key, e.That, e.Kind, e.Warn, e.Default, e.Say))
	}
	want := []string{
		`status|status == 200 or status in 200..299 or status in 300..399|status|false|false|`,
		`pattern[0]|body matches "a\"b"|content|false|false|`,
		`not_pattern[0]|not (body matches "c")|content|false|false|`,
		`contains[0]|body contains "d"|content|false|false|`,
		`not_contains[0]|not (body contains "e")|content|false|false|`,
		`json.$.a|json("$.a") == "b"|content|false|false|`,
		`json.$.n|json("$.n") == 1.5|content|false|false|`,
		`json.$.t|json("$.t") == true|content|false|false|`,
		`json.$.z|json("$.z") == nil|content|false|false|`,
		`header.X-A|header("X-A") == "b"|expectation|false|false|`,
		`max_time|total <= "1.5s"|expectation|false|false|`,
		`cert_days|cert.days >= 7|expectation|false|false|`,
		`expect[0]|status == 200|expectation|false|false|`,
		`expect[1]|total < "2s"|expectation|false|false|slow`,
		`warn|cert.days > 14|expectation|true|true|`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for url, want := range map[string]string{
		"http://x": "status in 200..299", "tcp://x:1": "", "tls://x:1": "cert.days > 14", "dns:///x": `dns.rcode in ["NOERROR"]`,
	} {
		all, err := check.Expand(vedette.Monitor{URL: url})
		if err != nil || (want == "") != (len(all) == 0) || want != "" && (all[0].That != want || !all[0].Default) {
			t.Errorf("%s: %+v, %v; want %s", url, all, err, want)
		}
	}
	if _, err := check.Expand(vedette.Monitor{URL: "http://x", Probe: vedette.Raw(`{"status":["x"]}`)}); err == nil {
		t.Error("a mistake expands to something")
	}
}
