package storetest

import (
	"testing"

	"github.com/vedettehq/vedette"
)

// TestMonitors holds a registry of monitors to its contract.
func TestMonitors(t *testing.T, open func(t *testing.T) vedette.Monitors) {
	testRegistry(t, kind[vedette.MonitorID, vedette.Monitor]{
		make: monitor,
		id:   func(m vedette.Monitor) vedette.MonitorID { return m.ID },
		meta: func(m *vedette.Monitor) *vedette.Meta { return &m.Meta },
		change: func(m vedette.Monitor) {
			m.Labels["team"], m.DependsOn[0], m.Probe[0] = "changed", "changed", 'x'
		},
	}, open)
}
