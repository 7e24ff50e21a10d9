package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/vedettehq/vedette"
)

// Jobs is the meter of what packages worker and schedule do, and wraps the contracts that they
// work with.
type Jobs struct {
	delay    prometheus.Histogram
	took     *prometheus.HistogramVec
	executed *prometheus.CounterVec
	lost     prometheus.Counter
	fenced   prometheus.Counter
	rescued  *prometheus.CounterVec
	runs     *prometheus.CounterVec
	lag      prometheus.Histogram
	calls    *prometheus.HistogramVec
	errors   *prometheus.CounterVec
	queues   *queues
}

func newJobs(f factory) *Jobs {
	j := &Jobs{
		delay:    f.histogram("vedette_job_delay_seconds", "How long jobs were ready before a worker began them.", waits()),
		took:     f.histograms("vedette_job_seconds", "How long handlers took.", waits(), "handler"),
		executed: f.counters("vedette_jobs_executed_total", "Attempts that ended, by handler and by what they led to.", "handler", "state"),
		lost:     f.counter("vedette_jobs_lost_total", "Jobs whose claim was lost while their handler ran."),
		fenced:   f.counter("vedette_jobs_fenced_total", "Ends of jobs that the queue refused, since the claim was no longer so."),
		rescued:  f.counters("vedette_jobs_rescued_total", "Jobs taken from workers that were lost or did not end, by what became of them.", "state"),
		runs:     f.counters("vedette_schedule_runs_total", "Due times of schedules: fired, skipped by the overlap policy, dropped since they were too late.", "outcome"),
		lag:      f.histogram("vedette_schedule_fire_lag_seconds", "How much later than due runs were made, jitter left out.", fine()),
		calls:    f.histograms("vedette_queue_call_seconds", "Time that calls of the queue took, failures included.", fine(), "method"),
		errors:   f.counters("vedette_queue_call_errors_total", "Calls of the queue that failed, by class of error.", "method", "class"),
		queues:   newQueues(),
	}
	for _, state := range []vedette.JobState{vedette.JobPending, vedette.JobDead, vedette.JobCancelled} {
		j.rescued.WithLabelValues(string(state))
	}
	for _, outcome := range []string{"fired", "skipped", "dropped"} {
		j.runs.WithLabelValues(outcome)
	}
	f.registry.MustRegister(j.queues)
	return j
}

// waits are buckets for times that may be long.
func waits() []float64 {
	return []float64{.001, .005, .02, .1, .5, 1, 5, 15, 60, 300, 1800, 7200}
}

// Jobs returns the meter of jobs.
func (m *Metrics) Jobs() *Jobs { return m.jobs }

// Started counts a job whose handler begins.
func (j *Jobs) Started(_ vedette.Job, delay time.Duration) { j.delay.Observe(delay.Seconds()) }

// Ended counts an attempt by what it led to.
func (j *Jobs) Ended(job vedette.Job, state vedette.JobState, took time.Duration) {
	handler := label(job.Handler)
	j.took.WithLabelValues(handler).Observe(took.Seconds())
	j.executed.WithLabelValues(handler, string(state)).Inc()
}

// Lost counts a job whose claim was lost while its handler ran.
func (j *Jobs) Lost(vedette.Job) { j.lost.Inc() }

// Stale counts an end that the queue refused.
func (j *Jobs) Stale(vedette.Ref) { j.fenced.Inc() }

// Queues takes the state of all queues.
func (j *Jobs) Queues(all []vedette.QueueState) {
	j.queues.mu.Lock()
	defer j.queues.mu.Unlock()
	j.queues.all = all
}

// Replicas takes how many live of each kind: processes that schedule, that lead, that work, and
// jobs that run.
func (j *Jobs) Replicas(kinds map[string]int) {
	j.queues.mu.Lock()
	defer j.queues.mu.Unlock()
	j.queues.replicas = kinds
}
