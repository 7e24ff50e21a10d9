package manifest

import (
	"fmt"
	"iter"
	"reflect"
	"slices"
	"time"
)

type seq = iter.Seq[string]

// foreign returns what the keys of other tools are here, so that their users learn ours.
func foreign() map[string]string {
	return map[string]string{
		// of Gatus
		"endpoints":         "Vedette's word is monitors",
		"conditions":        `Vedette's word is expect, with expressions as 'status == 200'`,
		"failure-threshold": "Vedette's word is confirm: {down: N}",
		"success-threshold": "Vedette's word is confirm: {up: N}",
		"client":            "here its settings stand in the monitor: timeout, tls, request.follow_redirects, resolver",
		"alerts":            "alerts are not sent yet",
		"alerting":          "alerts are not sent yet",
		"enabled":           "Vedette's word is paused, the other way round",
		"storage":           "Vedette's word is store, as in sqlite:vedette.db",
		"web":               "Vedette's word is http: {listen: HOST:PORT}",
		"extra-labels":      "Vedette's word is labels",
		"dns":               "here the scheme says it: url: dns://SERVER/NAME?type=A",
		// of Uptime Kuma
		"maxretries":           "Vedette's word is confirm: {down: N}",
		"retryInterval":        "Vedette's word is retry_interval",
		"resendInterval":       "alerts are not sent yet",
		"notificationIDList":   "alerts are not sent yet",
		"accepted_statuscodes": "Vedette's word is status",
		"keyword":              "Vedette's word is contains",
		"invertKeyword":        "Vedette's word is not_contains",
		"upsideDown":           "Vedette's word is fails_with, as in [refused, timeout]",
		"ignoreTls":            "Vedette's word is tls: {insecure_skip_verify: true}",
		"maxredirects":         "Vedette's word is request: {follow_redirects: N}",
		"hostname":             "Vedette wants a url, as in tcp://HOST:PORT",
		"port":                 "Vedette wants a url, as in tcp://HOST:PORT",
		"type":                 "here the scheme of the url says it: https, tcp, tls, dns",
		"active":               "Vedette's word is paused, the other way round",
		"tags":                 "Vedette's word is labels",
		"description":          "there is no place for it: write a comment, or a key that begins with x-",
		// of blackbox_exporter and Prometheus
		"modules":                         "here each monitor says how to look: see vedette init",
		"prober":                          "here the scheme of the url says it: https, tcp, tls, dns",
		"valid_status_codes":              "Vedette's word is status",
		"fail_if_body_matches_regexp":     "Vedette's word is not_pattern",
		"fail_if_body_not_matches_regexp": "Vedette's word is pattern",
		"fail_if_not_ssl":                 "Vedette looks at the scheme of the url: write https",
		"no_follow_redirects":             "Vedette's word is request: {follow_redirects: 0}",
		"preferred_ip_protocol":           "Vedette's word is ip: 4 or 6",
		"tls_config":                      "Vedette's word is tls",
		"bearer_token":                    "Vedette's word is request: {bearer: ...}",
		"scrape_interval":                 "Vedette's word is interval",
		"scrape_timeout":                  "Vedette's word is timeout",
		"body_size_limit":                 "Vedette's word is request: {max_body: 1MiB}",
		// of Kafka's clients and those that feed Postgres
		"server":            "brokers stand in results: kafka://HOST:PORT/TOPIC, and the name that TLS verifies in server_name",
		"brokers":           "brokers stand in results: kafka://HOST:PORT/TOPIC",
		"bootstrap_servers": "brokers stand in results: kafka://HOST:PORT/TOPIC",
		"topic":             "the topic stands in results: kafka://HOST:PORT/TOPIC",
		"consumers":         "more processes with --role record share the partitions",
		"certs_dir":         "Vedette's word is kafka: {tls: {dir: PATH}}",
		"postgres":          "Vedette's word is store: postgres://USER:PASSWORD@HOST:PORT/DATABASE",
		// of others
		"insecure":   "Vedette's word is tls: {insecure_skip_verify: true}",
		"verify_ssl": "Vedette's word is tls: {insecure_skip_verify: true}, the other way round",
		"probe":      "here the scheme of the url says it: https, tcp, tls, dns",
		"frequency":  "Vedette's word is interval",
		"every":      "Vedette's word is interval",
		"sites":      "Vedette's word is monitors",
		"targets":    "Vedette's word is monitors",
		"checks":     "Vedette's word is monitors",
		"regex":      "Vedette's word is pattern",
		"regexp":     "Vedette's word is pattern",
		"retries":    "Vedette's word is confirm: {down: N}",
		"env":        "write ${NAME} where the value belongs",
	}
}

// foreignToScraper returns what the keys of other tools are in a scraper.
func foreignToScraper() map[string]string {
	return map[string]string{
		"interval":          "Vedette's word is schedule, as in schedule: 5m",
		"paused":            "Vedette's word is enabled, the other way round",
		"disabled":          "Vedette's word is enabled, the other way round",
		"config":            "Vedette's word is params",
		"args":              "what a handler is told stands in params",
		"env":               "it belongs to params",
		"argv":              "it belongs to params",
		"url":               "it belongs to params",
		"command":           "Vedette wants handler: exec and params: {argv: [...]}",
		"crontab":           "Vedette's word is schedule, as in schedule: 0 3 * * *",
		"schedule_crontab":  "Vedette's word is schedule, as in schedule: 0 3 * * *",
		"schedule_priority": "Vedette's word is priority",
		"timeout_seconds":   "Vedette's word is timeout, as in 90s",
		"max_attempts":      "Vedette's word is retries: how often to try again",
		"unique":            "Vedette's word is schedule: {overlap: skip}",
	}
}

// unknown reports a key that a struct does not have, and says where it belongs.
func (d *decoder) unknown(e entry, in reflect.Type, path string) {
	text := fmt.Sprintf("unknown key %s", e.key)
	fix := foreign()[e.key]
	if in == reflect.TypeFor[scraper]() {
		fix = foreignToScraper()[e.key]
	}
	if fix == "" {
		fix = d.elsewhere(e.key, in)
	}
	if fix == "" {
		fix = didYouMean(e.key, func(yield func(string) bool) {
			for _, f := range d.plans.of(in) {
				if !yield(f.key) {
					return
				}
			}
		})
	}
	d.add(e.at, path, text, fix)
}

// elsewhere says where a key that we have belongs.
func (d *decoder) elsewhere(key string, in reflect.Type) string {
	for _, f := range d.plans.of(in) {
		if f.typ.Kind() != reflect.Struct || f.typ == reflect.TypeFor[time.Time]() {
			continue
		}
		if _, ok := d.plans.field(f.typ, key); ok && key != "file" && key != "name" {
			return fmt.Sprintf("did you mean %s: {%s: ...}?", f.key, key)
		}
	}
	if _, ok := d.plans.field(reflect.TypeFor[document](), key); ok {
		return "it belongs to the top of the file"
	}
	ofMonitor := []reflect.Type{reflect.TypeFor[document](), reflect.TypeFor[settings]()}
	if _, ok := d.plans.field(reflect.TypeFor[monitor](), key); ok && slices.Contains(ofMonitor, in) {
		return "it belongs to a monitor"
	}
	if _, ok := d.plans.field(reflect.TypeFor[scraper](), key); ok && in == reflect.TypeFor[document]() {
		return "it belongs to a scraper"
	}
	return ""
}
