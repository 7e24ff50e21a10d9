package manifest

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"

	"github.com/vedettehq/vedette/check"
	"github.com/vedettehq/vedette/internal/expand"
)

// Kafka says how to talk to Kafka.
type Kafka struct {
	TLS         *TLS   `json:"tls" doc:"Encrypt: true, or a map of files. Default: plain text."`
	SASL        *SASL  `json:"sasl" doc:"How to log in. Default: not at all."`
	Compression string `json:"compression" enum:"none,gzip,snappy,lz4,zstd" doc:"How to compress what is sent."`
	Registry    string `json:"registry" doc:"URL of a schema registry. Default: none, messages name their schema themselves."`
	Group       string `json:"group" doc:"The consumer group of those that record."`
	Partitions  int    `json:"partitions" doc:"How many partitions a topic gets that is made because it is missing."`
	Prefix      string `json:"prefix" doc:"What goes before the names of topics and groups."`
	Format      string `json:"format" enum:"avro,json" doc:"How messages are written. Both are read."`
	Spool       Spool  `json:"-"`
}

// TLS says how to encrypt. The zero TLS trusts what the system trusts.
type TLS struct {
	CA         string `json:"ca" doc:"PEM file with the authorities to trust. Default: the system's."`
	Cert       string `json:"cert" doc:"PEM file with the client certificate."`
	Key        string `json:"key" doc:"PEM file with the client key."`
	Dir        string `json:"dir" doc:"Folder with ca.pem, service.cert and service.key, for what ca, cert and key do not name."`
	ServerName string `json:"server_name" doc:"Name to ask for and to verify. Default: the broker's host."`
	Insecure   bool   `json:"insecure" doc:"Accept any certificate."`

	off bool // tls: false
}

// UnmarshalText reads true, which encrypts without further settings, and false.
func (t *TLS) UnmarshalText(text []byte) error {
	switch string(text) {
	case "true":
		*t = TLS{}
	case "false":
		*t = TLS{off: true}
	default:
		return fmt.Errorf("%q is neither true nor a map of files", text)
	}
	return nil
}

// SASL says how to log in to Kafka.
type SASL struct {
	Mechanism string       `json:"mechanism" enum:"plain,scram-sha-256,scram-sha-512,PLAIN,SCRAM-SHA-256,SCRAM-SHA-512" doc:"How the password is shown. Default: scram-sha-256."`
	User      string       `json:"user" doc:"Who we are."`
	Password  check.Secret `json:"password" doc:"Password, or {file: PATH}."`
}

// Reveal returns the password as it is now.
func (s SASL) Reveal(env func(string) (string, bool)) (string, error) {
	if s.Password.File == "" {
		return expand.Text(s.Password.Text, env)
	}
	b, err := os.ReadFile(s.Password.File)
	if err != nil {
		return "", fmt.Errorf("read the password of kafka: %w", err)
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}

// Spool says where results wait on disk while what takes them is away.
type Spool struct {
	Dir      string
	MaxBytes int64
	WhenFull string // block or drop_oldest
}

// kafka is Kafka as a section of the file.
type kafka struct {
	Kafka
	Spool spool `json:"spool" doc:"Where results wait while Kafka, or a Postgres that takes them directly, is away."`
}

type spool struct {
	Dir      string     `json:"dir" doc:"Folder for it. Processes of one machine may share it."`
	MaxBytes check.Size `json:"max_bytes" doc:"How much may wait."`
	WhenFull string     `json:"when_full" enum:"block,drop_oldest" doc:"What to do beyond that: look no more until there is room, or drop the oldest, counted."`
}

// plain returns the section as those that use it want it.
func (k kafka) plain() Kafka {
	out := k.Kafka
	if out.TLS != nil && out.TLS.off {
		out.TLS = nil
	}
	if out.SASL != nil {
		sasl := *out.SASL
		sasl.Mechanism = cmp.Or(strings.ToLower(sasl.Mechanism), "scram-sha-256")
		out.SASL = &sasl
	}
	out.Spool = Spool{Dir: k.Spool.Dir, MaxBytes: int64(k.Spool.MaxBytes), WhenFull: k.Spool.WhenFull}
	return out
}

// CheckResults says what is wrong with the address of a topic, kafka://HOST:PORT[,HOST:PORT]/TOPIC.
// A host without a port has 9092.
func CheckResults(address string) error {
	scheme, rest, _ := strings.Cut(address, "://")
	switch {
	case scheme != "kafka":
		return errors.New("results go to kafka:// or straight into the store")
	case strings.ContainsAny(rest, "?#"):
		return errors.New("settings of Kafka stand in kafka:, not in the address")
	case strings.Contains(rest, "@"):
		return errors.New("user and password stand in kafka: {sasl: ...}, not in the address")
	}
	brokers, topic, _ := strings.Cut(rest, "/")
	for broker := range strings.SplitSeq(brokers, ",") {
		host, port, err := net.SplitHostPort(broker)
		if err != nil {
			host, port, err = net.SplitHostPort(broker + ":9092")
		}
		if err != nil || host == "" || strings.ContainsAny(host, " \t") || !isPort(port, 1) {
			return fmt.Errorf("%q is no HOST:PORT", broker)
		}
	}
	return checkTopic(topic)
}

// checkTopic holds names to what Kafka allows.
func checkTopic(topic string) error {
	switch {
	case topic == "":
		return errors.New("the topic is missing")
	case !isTopic(topic) || topic == "." || topic == "..":
		return fmt.Errorf("%q is no topic, which has up to 249 letters, digits, dots and - _", topic)
	}
	return nil
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."

func isTopic(name string) bool { return strings.Trim(name, letters) == "" && len(name) <= 249 }

const wantResults = "want kafka://HOST:PORT[,HOST:PORT]/TOPIC"

// checkKafka finds what is wrong with results and kafka.
func (d *decoder) checkKafka(doc document, at func(path string) pos) {
	if doc.Results != "" {
		if err := CheckResults(doc.Results); err != nil {
			d.add(at("results"), "results", err.Error(), wantResults)
		}
	}
	k := doc.Kafka
	d.checkTLS(k.TLS, at)
	if s := k.SASL; s != nil && s.User == "" {
		d.add(at("kafka.sasl"), "kafka.sasl", "who is to log in? user is missing", "")
	} else if s != nil && s.Password.IsZero() {
		d.add(at("kafka.sasl"), "kafka.sasl", "the password is missing", `write password: "${NAME}", or password: {file: PATH}`)
	}
	if k.Registry != "" {
		if u, err := url.Parse(k.Registry); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			d.add(at("kafka.registry"), "kafka.registry", "this is no address of a registry", "want http://HOST:PORT or https://HOST:PORT")
		}
	}
	if k.Group == "" {
		d.add(at("kafka.group"), "kafka.group", "the group has no name", "")
	}
	if !isTopic(k.Prefix) {
		d.add(at("kafka.prefix"), "kafka.prefix", fmt.Sprintf("%q is nothing that a topic may begin with", k.Prefix), "use letters, digits and - _ .")
	}
	if k.Partitions < 1 || k.Partitions > maxPartitions {
		d.add(at("kafka.partitions"), "kafka.partitions", fmt.Sprintf("%d partitions make no sense", k.Partitions), fmt.Sprintf("want 1 to %d", maxPartitions))
	}
	if k.Spool.Dir == "" {
		d.add(at("kafka.spool.dir"), "kafka.spool.dir", "the folder has no name", "")
	}
	if k.Spool.MaxBytes < minSpool {
		d.add(at("kafka.spool.max_bytes"), "kafka.spool.max_bytes", fmt.Sprintf("%s is less than %s", k.Spool.MaxBytes, minSpool), "")
	}
	d.idleKafka(doc)
}

const (
	maxPartitions = 10_000
	// minSpool is less than what a thousand sites find in a minute.
	minSpool = check.Size(1 << 20)
)

func (d *decoder) checkTLS(t *TLS, at func(path string) pos) {
	switch {
	case t == nil || t.Dir != "":
	case t.Cert != "" && t.Key == "":
		d.add(at("kafka.tls.cert"), "kafka.tls", "a certificate without its key", "add key: PATH")
	case t.Key != "" && t.Cert == "":
		d.add(at("kafka.tls.key"), "kafka.tls", "a key without its certificate", "add cert: PATH")
	case t.Insecure && t.ServerName != "":
		d.warn(at("kafka.tls.insecure"), "kafka.tls.insecure", "any certificate is accepted, so server_name is not verified", "")
	}
}

// idleKafka warns of a section that says nothing of what is used.
func (d *decoder) idleKafka(doc document) {
	section := d.top.get("kafka")
	if doc.Results != "" || section == nil || section.kind != dict {
		return
	}
	for _, e := range section.keys {
		if strings.HasPrefix(e.key, "x-") || e.val.kind == null || e.key == "spool" && isRemote(doc.Store) {
			continue
		}
		d.warn(e.at, join("kafka", e.key), "nothing goes through Kafka, so this has no effect", "say where with results: kafka://HOST:PORT/TOPIC")
	}
}
