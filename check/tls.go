package check

// tlsKind looks at a server's certificate and hangs up.
func tlsKind() *kind {
	return &kind{
		scheme: "tls",
		knows:  []string{"cert", "tls"},
		keys:   []string{"tls", "cert_days"},
		probe:  probeTLS,
	}
}

func probeTLS(r *run) error {
	to := &r.probe.to
	if err := r.dial(to.host, to.port, r.probe.deny); err != nil {
		return err
	}
	return r.secure(to.host)
}
