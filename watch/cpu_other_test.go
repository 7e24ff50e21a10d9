//go:build !unix

package watch

import "time"

// cpuTime is not known here.
func cpuTime() time.Duration { return 0 }
