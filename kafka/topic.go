package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// inSync is how many replicas must have a message before it counts as sent, where there are
// brokers enough to lose one and go on.
const (
	inSync      = 2
	inSyncKey   = "min.insync.replicas"
	maxReplicas = 3
)

// EnsureTopic creates the topic if it is missing: with partitions (0 means the broker's default)
// and replication (0 means 3, or as many as there are brokers), and on three brokers or more with
// min.insync.replicas=2. A topic that exists is left as it is; the warning then says where it is
// less than what was asked for, and is "" where it is not.
func EnsureTopic(ctx context.Context, c Config, topic string, partitions int32, replication int16) (warning string, err error) {
	opts, err := c.options()
	if err != nil {
		return "", err
	}
	cl, err := kgo.NewClient(append(opts, kgo.MetadataMinAge(minAge))...)
	if err != nil {
		return "", fmt.Errorf("ensure topic %s: %w", topic, err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, c.withDefaults().Timeout)
	defer cancel()
	warning, err = ensure(ctx, kadm.NewClient(cl), c.Prefix+topic, partitions, replication)
	if err != nil {
		return "", fmt.Errorf("ensure topic %s: %w", topic, err)
	}
	return warning, nil
}

func ensure(ctx context.Context, adm *kadm.Client, topic string, partitions int32, replication int16) (string, error) {
	meta, err := adm.Metadata(ctx, topic)
	if err != nil {
		return "", err
	}
	d := meta.Topics[topic]
	switch {
	case errors.Is(d.Err, kerr.UnknownTopicOrPartition):
		err := create(ctx, adm, topic, partitions, replication, len(meta.Brokers))
		if !errors.Is(err, kerr.TopicAlreadyExists) {
			return "", err
		}
		// Another process was faster: it asked for what we ask for, and says so itself if not.
		return "", nil
	case d.Err != nil:
		return "", d.Err
	}
	return weakness(ctx, adm, d, partitions, len(meta.Brokers))
}

func create(ctx context.Context, adm *kadm.Client, topic string, partitions int32, replication int16, brokers int) error {
	configs := map[string]*string{}
	if replication == 0 {
		replication = int16(min(brokers, maxReplicas)) //nolint:gosec // at most 3
	}
	if brokers >= maxReplicas && replication > inSync {
		configs[inSyncKey] = new(strconv.Itoa(inSync))
	}
	if partitions == 0 {
		partitions = -1
	}
	r, err := adm.CreateTopic(ctx, partitions, replication, configs, topic)
	if err != nil && r.ErrMessage != "" {
		return fmt.Errorf("%w: %s", err, r.ErrMessage)
	}
	return err
}

// weakness says where an existing topic is less than what was asked for. A broker that does not
// let us read its settings leaves that part unsaid.
func weakness(ctx context.Context, adm *kadm.Client, d kadm.TopicDetail, partitions int32, brokers int) (string, error) {
	var says []string
	if n := int32(len(d.Partitions)); n < partitions { //nolint:gosec // partitions are few
		says = append(says, fmt.Sprintf("has %d partitions, not %d", n, partitions))
	}
	if brokers < maxReplicas {
		return sentence(d.Topic, says), nil
	}
	if n := d.Partitions.NumReplicas(); n < inSync {
		says = append(says, fmt.Sprintf("keeps %d copy of each message: one broker's disk can lose it", n))
	}
	all, err := adm.DescribeTopicConfigs(ctx, d.Topic)
	switch {
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.ClusterAuthorizationFailed):
		return sentence(d.Topic, says), nil
	case err != nil:
		return "", err
	}
	for _, r := range all {
		for _, kv := range r.Configs {
			if n, err := strconv.Atoi(kv.MaybeValue()); kv.Key == inSyncKey && err == nil && n < inSync {
				says = append(says, fmt.Sprintf("has %s=%d: a message counts as sent when %d broker has it", inSyncKey, n, n))
			}
		}
	}
	return sentence(d.Topic, says), nil
}

func sentence(topic string, says []string) string {
	if len(says) == 0 {
		return ""
	}
	return "topic " + topic + " " + strings.Join(says, ", and ")
}
