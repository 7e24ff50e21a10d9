package demo

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/vedettehq/vedette"
)

// The cycles are short and uneven, so that a watcher that confirms with 3 and 2 looks a second
// apart sees both states within 11 seconds, wherever in the cycle it begins.
func (w *Web) flapUp() bool { return w.age()%(7*time.Second) < 3*time.Second }
func (w *Web) gateUp() bool { return w.age()%(10*time.Second) < 4*time.Second }

// open starts all sites.
func (w *Web) open(ctx context.Context) error {
	ca, err := newAuthority()
	if err != nil {
		return err
	}
	if w.CAFile, err = ca.save(); err != nil {
		return err
	}
	for _, open := range []func(context.Context, *authority) error{
		w.openPages, w.openCertificates, w.openBroken, w.openClosed, w.openGateway, w.openPlanned,
	} {
		if err := open(ctx, ca); err != nil {
			return err
		}
	}
	return nil
}

// add puts a site on the list. A watcher must see the states, and the kind if it is not "".
func (w *Web) add(s Site, kind vedette.Kind, states ...vedette.State) {
	s.Want = Want{Name: s.Name, States: states, Kind: kind, Muted: s.Want.Muted}
	w.sites = append(w.sites, s)
}

func (w *Web) openPages(_ context.Context, ca *authority) error {
	if err := w.certified(ca, "good", "answers at once", time.Now().Add(80*day)); err != nil {
		return err
	}
	l, err := w.listen()
	if err != nil {
		return err
	}
	w.serveHTTP(l, w.pages())
	page := func(name, about string, keys ...string) Site {
		return Site{Name: name, Group: "web", About: about, URL: "http://" + l.Addr().String() + "/" + name, Keys: keys}
	}
	w.add(page("slow", "takes 600 ms"), "", vedette.Up)
	w.add(page("api", "JSON that says: up, but the queue is long",
		`contains: [orders]`, `json: {"$.status": ok}`, `warn: ['json("$.queue") < 1000']`),
		vedette.KindExpectation, vedette.Degraded)
	w.add(page("errors", "answers 500"), vedette.KindStatus, vedette.Down)
	w.add(page("flapping", "3 s up, 4 s down"), vedette.KindStatus, vedette.Up, vedette.Down)
	w.add(page("content", "says 200 and shows an error", `pattern: ["in stock"]`), vedette.KindContent, vedette.Down)
	w.add(page("loop", "redirects in a circle"), vedette.KindRedirect, vedette.Down)
	w.add(page("cut", "breaks off in the middle of the body"), vedette.KindTruncated, vedette.Down)
	return nil
}

func (w *Web) openCertificates(_ context.Context, ca *authority) error {
	now := time.Now()
	if err := w.certified(ca, "expiring", "its certificate ends in 7 days", now.Add(7*day)); err != nil {
		return err
	}
	if err := w.certified(ca, "expired", "its certificate ended yesterday", now.Add(-day)); err != nil {
		return err
	}
	return w.certified(nil, "self-signed", "its certificate is signed by nobody else", now.Add(80*day))
}

// certified adds an https site whose certificate ends at notAfter.
func (w *Web) certified(ca *authority, name, about string, notAfter time.Time) error {
	cert, err := ca.sign(notAfter)
	if err != nil {
		return err
	}
	l, err := w.listen()
	if err != nil {
		return err
	}
	w.serveHTTP(secure(l, cert), hello())
	s := Site{Name: name, Group: "web", About: about, URL: "https://" + l.Addr().String() + "/"}
	if ca != nil {
		s.Keys = w.trust()
	}
	switch left := time.Until(notAfter); {
	case ca == nil, left < 0:
		w.add(s, vedette.KindCertificate, vedette.Down)
	case left < 14*day:
		w.add(s, vedette.KindExpectation, vedette.Degraded)
	default:
		w.add(s, "", vedette.Up)
	}
	return nil
}

func secure(l net.Listener, cert tls.Certificate) net.Listener {
	return tls.NewListener(l, &tls.Config{
		Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"},
	})
}

// trust returns the key that makes a monitor trust the Web's authority.
func (w *Web) trust() []string { return []string{fmt.Sprintf("tls: {ca_file: %q}", w.CAFile)} }

func (w *Web) openBroken(ctx context.Context, _ *authority) error {
	for _, s := range []struct {
		name, about string
		kind        vedette.Kind
		answer      func(net.Conn)
		keys        []string
	}{
		{"garbage", "answers, but not in HTTP", vedette.KindProtocol, babble, nil},
		// It must have ended when the next look is due, or that is missed.
		{"silent", "never answers", vedette.KindTimeout, listenOnly, []string{"timeout: 800ms"}},
	} {
		l, err := w.listen()
		if err != nil {
			return err
		}
		w.serveConns(ctx, l, s.answer)
		w.add(Site{Name: s.name, Group: "web", About: s.about, URL: "http://" + l.Addr().String() + "/", Keys: s.keys}, s.kind, vedette.Down)
	}
	return nil
}

func (w *Web) openClosed(ctx context.Context, _ *authority) error {
	refusing, err := w.refusing(ctx)
	if err != nil {
		return err
	}
	if err := w.openDNS(); err != nil {
		return err
	}
	w.add(Site{Name: "refused", Group: "web", About: "nobody listens there", URL: "http://" + refusing + "/"},
		vedette.KindRefused, vedette.Down)
	w.add(Site{
		Name: "nowhere", Group: "web", About: "its name does not exist", URL: "http://nowhere.invalid/",
		Keys: []string{fmt.Sprintf("resolver: %q", w.Resolver)},
	}, vedette.KindDNS, vedette.Down)
	return nil
}

// openGateway adds a gateway, which is down for 6 of 10 seconds, and what can be reached only
// through it.
func (w *Web) openGateway(ctx context.Context, ca *authority) error {
	cert, err := ca.sign(time.Now().Add(80 * day))
	if err != nil {
		return err
	}
	var doors [3]net.Listener
	for i := range doors {
		l, err := w.listen()
		if err != nil {
			return err
		}
		doors[i] = w.gated(ctx, l)
	}
	w.serveConns(ctx, doors[0], echo)
	w.serveHTTP(doors[1], hello())
	w.serveConns(ctx, secure(doors[2], cert), listenOnly)

	w.add(Site{
		Name: "gateway", About: "4 s up, 6 s down; the next three are behind it", URL: "tcp://" + doors[0].Addr().String(),
		Keys: []string{`send: "ping\n"`, `expect: ['body contains "pong"']`, `confirm: {down: 1, up: 1}`},
	}, vedette.KindReset, vedette.Up, vedette.Down)
	for _, s := range []Site{
		{Name: "shop", URL: "http://" + doors[1].Addr().String() + "/", About: "a page behind the gateway"},
		{Name: "mail", URL: "tls://" + doors[2].Addr().String(), About: "TLS behind the gateway", Keys: w.trust()},
		{
			Name: "names", URL: "dns://" + w.Resolver + "/" + known + "?type=A", About: "DNS behind the gateway",
			Keys: []string{`expect: ['"192.0.2.7" in dns.answers']`, "timeout: 500ms"},
		},
	} {
		s.Group, s.Want.Muted = "behind", "gateway"
		w.add(s, "", vedette.Up, vedette.Down)
	}
	return nil
}

func (w *Web) openPlanned(context.Context, *authority) error {
	l, err := w.listen()
	if err != nil {
		return err
	}
	w.serveHTTP(l, status(503, "back soon"))
	w.add(Site{Name: "patching", Group: "web", About: "down, but that is planned", URL: "http://" + l.Addr().String() + "/"},
		vedette.KindStatus, vedette.Maintenance)
	return nil
}
