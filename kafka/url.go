package kafka

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// ParseURL reads kafka://host:port[,host:port]/TOPIC. A host without a port gets 9092.
func ParseURL(s string) (brokers []string, topic string, err error) {
	fail := func(why string) ([]string, string, error) {
		return nil, "", fmt.Errorf("%s: want kafka://host:port[,host:port]/TOPIC", why)
	}
	rest, ok := strings.CutPrefix(s, "kafka://")
	if !ok {
		return fail("the URL does not begin with kafka://")
	}
	// Whatever stands before an @ may be a password, so it is not repeated.
	if strings.Contains(rest, "@") {
		return fail("a Kafka URL takes no user: the login is kafka.sasl")
	}
	hosts, topic, ok := strings.Cut(rest, "/")
	if !ok || topic == "" {
		return fail(fmt.Sprintf("%q names no topic", s))
	}
	if !isTopic(topic) {
		return fail(fmt.Sprintf("%q is no name of a topic: letters, digits, '.', '_' and '-', at most 249", topic))
	}
	for host := range strings.SplitSeq(hosts, ",") {
		b, ok := broker(host)
		if !ok {
			return fail(fmt.Sprintf("%q is no broker", host))
		}
		brokers = append(brokers, b)
	}
	return brokers, topic, nil
}

// broker completes host, host:port, [v6] and [v6]:port.
func broker(s string) (string, bool) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port, err = net.SplitHostPort(s + ":9092")
	}
	n, bad := strconv.ParseUint(port, 10, 16)
	if err != nil || bad != nil || n == 0 || host == "" || strings.ContainsAny(host, " \t?#") {
		return "", false
	}
	return net.JoinHostPort(host, port), true
}

// isTopic says whether Kafka takes the name.
func isTopic(s string) bool {
	if s == "" || s == "." || s == ".." || len(s) > 249 {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
	})
}
