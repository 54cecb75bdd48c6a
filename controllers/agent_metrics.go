package controllers

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"seedbed.dev/seedbed/controllers/apply"
	"seedbed.dev/seedbed/controllers/host/linux"
	"seedbed.dev/seedbed/controllers/report"
)

var (
	passSeconds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "seedbed_agent_pass_duration_seconds",
		Help:    "Time of one pass over the host.",
		Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
	})
	stepsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seedbed_agent_steps_total",
		Help: "Steps of plans, by kind of resource and outcome.",
	}, []string{"kind", "outcome"})
	driftTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seedbed_agent_drift_corrected_total",
		Help: "Resources that somebody else changed and the agent put right, by kind.",
	}, []string{"kind"})
	writesTotal = prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "seedbed_agent_host_writes_total",
		Help: "Files the agent has put in place on its host, its own state included.",
	}, func() float64 { return float64(linux.Writes()) })
	fsyncsTotal = prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "seedbed_agent_host_fsyncs_total",
		Help: "Times the agent has waited for its host's disk.",
	}, func() float64 { return float64(linux.Fsyncs()) })
	certificateEnd = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "seedbed_agent_certificate_expiration_timestamp_seconds",
		Help: "End of the validity of the client certificates that the agent obtains, in seconds since the epoch.",
	}, []string{"certificate"})
	certificateFailures = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seedbed_agent_certificate_failures_total",
		Help: "Attempts to obtain or renew a client certificate that did not succeed.",
	}, []string{"certificate"})
	inSync = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "seedbed_agent_in_sync",
		Help: "1 while the host is as its assigned revision says, else 0.",
	})
)

// registerAgentMetrics is called when an agent is set up, so that no other process serves these.
var registerAgentMetrics = sync.OnceFunc(func() {
	metrics.Registry.MustRegister(passSeconds, stepsTotal, driftTotal, writesTotal, fsyncsTotal, inSync, certificateEnd, certificateFailures)
})

func observePass(p *report.Pass) {
	passSeconds.Observe(p.Finished.Sub(p.Started).Seconds())
	for i := range p.Results {
		r := &p.Results[i]
		kind := string(r.Step.Target.Kind)
		stepsTotal.WithLabelValues(kind, string(r.Outcome)).Inc()
		if r.Step.Drift && (r.Outcome == apply.Done || r.Outcome == apply.Deferred) {
			driftTotal.WithLabelValues(kind).Inc()
		}
	}
	if p.Agrees() {
		inSync.Set(1)
	} else {
		inSync.Set(0)
	}
}
