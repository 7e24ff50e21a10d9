package memory

import "slices"

type groupKey struct{ name, topic string }

// A group is the sessions that share the partitions of a topic.
type group struct {
	members []*session // in the order of their opening
	shares  []share    // by partition
}

// A share is who reads a partition, and who should: until the owner has settled what it
// delivered, the heir waits.
type share struct {
	owner, heir *session
}

// group returns that of a key.
func (s *Stream) group(key groupKey) *group {
	g := s.groups[key]
	if g == nil {
		g = &group{shares: make([]share, s.partitions)}
		s.groups[key] = g
	}
	return g
}

// rebalance shares the partitions evenly, and moves as few as that takes.
func (g *group) rebalance() {
	room := make(map[*session]int, len(g.members))
	for i, m := range g.members {
		room[m] = len(g.shares) / len(g.members)
		if i < len(g.shares)%len(g.members) {
			room[m]++
		}
	}
	for i := range g.shares {
		s := &g.shares[i]
		s.heir = nil
		if s.owner != nil && room[s.owner] > 0 {
			s.heir = s.owner
			room[s.owner]--
		}
	}
	for i := range g.shares {
		s := &g.shares[i]
		if s.heir != nil {
			continue
		}
		if m := slices.IndexFunc(g.members, func(m *session) bool { return room[m] > 0 }); m >= 0 {
			s.heir = g.members[m]
			room[s.heir]--
		}
	}
}
