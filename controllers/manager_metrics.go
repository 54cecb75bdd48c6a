package controllers

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"seedbed.dev/seedbed/api/v1alpha1"
)

var (
	nodeConfigNodes = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "seedbed_nodeconfig_nodes",
		Help: "Nodes of a NodeConfig by state: matched, updated, prepared, ready, unavailable, failed, draining. The states overlap, as in NodeConfig.status.nodes.",
	}, []string{"nodeconfig", "state"})
	assignmentsTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "seedbed_assignments_total",
		Help: "Revisions given to nodes.",
	})
	permitsTotal = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "seedbed_permits_total",
		Help: "Plans that wanted a drain and were permitted.",
	})
	drainsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seedbed_drains_total",
		Help: "Drains of nodes that ended, by result: drained, given-up.",
	}, []string{"result"})
	evictionsTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "seedbed_evictions_total",
		Help: "Evictions of pods that were asked for, by result: evicted, refused.",
	}, []string{"result"})
	revisionsStored = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "seedbed_revisions",
		Help: "Stored ControllerRevisions of a NodeConfig.",
	}, []string{"nodeconfig"})
)

// registerManagerMetrics is called when a manager is set up, so that no other process serves these.
var registerManagerMetrics = sync.OnceFunc(func() {
	metrics.Registry.MustRegister(nodeConfigNodes, assignmentsTotal, revisionsStored, permitsTotal, drainsTotal, evictionsTotal)
})

func observeNodeConfig(config *v1alpha1.NodeConfig, revisions int) {
	counts := config.Status.Nodes
	for state, n := range map[string]int32{
		"matched": counts.Matched, "updated": counts.Updated, "prepared": counts.Prepared,
		"ready": counts.Ready, "unavailable": counts.Unavailable, "failed": counts.Failed,
		"draining": counts.Draining,
	} {
		nodeConfigNodes.WithLabelValues(config.Name, state).Set(float64(n))
	}
	revisionsStored.WithLabelValues(config.Name).Set(float64(revisions))
}

func forgetNodeConfig(name string) {
	nodeConfigNodes.DeletePartialMatch(prometheus.Labels{"nodeconfig": name})
	revisionsStored.DeleteLabelValues(name)
}
