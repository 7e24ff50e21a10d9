package memory

import (
	"maps"
	"slices"

	"github.com/vedettehq/vedette"
)

func newMonitors() *registry[vedette.MonitorID, vedette.Monitor] {
	return newRegistry(kind[vedette.MonitorID, vedette.Monitor]{
		name:  "monitor",
		id:    func(m vedette.Monitor) vedette.MonitorID { return m.ID },
		meta:  func(m *vedette.Monitor) *vedette.Meta { return &m.Meta },
		clone: cloneMonitor,
	})
}

func cloneMonitor(m vedette.Monitor) vedette.Monitor {
	m.Labels = maps.Clone(m.Labels)
	m.DependsOn = slices.Clone(m.DependsOn)
	m.Maintenance = slices.Clone(m.Maintenance)
	m.Probe = slices.Clone(m.Probe)
	return m
}
