package report

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/chain"
	"seedbed.dev/seedbed/controllers/state"
)

// components that have a condition of their own, in the order of the chain.
var components = []struct {
	component state.Component
	condition string
}{
	{state.ComponentFlannel, v1alpha1.ConditionFlannelHealthy},
	{state.ComponentDocker, v1alpha1.ConditionDockerHealthy},
	{state.ComponentCRIDockerd, v1alpha1.ConditionCRIHealthy},
	{state.ComponentKubelet, v1alpha1.ConditionKubeletHealthy},
	{state.ComponentKubeProxy, v1alpha1.ConditionKubeProxyHealthy},
}

// Findings are what is wrong with the components of a host that runs, in the order of the chain.
func (p *Pass) Findings() []chain.Finding {
	if p.Offline || p.Enforced == "" {
		return nil
	}
	return chain.Examine(p.Desired, p.Observed)
}

// Healthy is true when nothing is wrong with any component.
func (p *Pass) Healthy() bool { return len(p.Findings()) == 0 }

// health is the first finding of a component, and what else was found. On a host root nothing runs, so
// nothing is known.
func health(p *Pass, unit string, c state.Component, findings []chain.Finding) verdict {
	if p.Offline {
		return verdict{metav1.ConditionUnknown, v1alpha1.ReasonOfflineRoot, "nothing runs on a host root"}
	}
	if v := worst(findings, func(f chain.Finding) bool { return f.Component == c }); v != nil {
		return *v
	}
	return verdict{metav1.ConditionTrue, v1alpha1.ReasonHealthy, unit + " is active and fits the rest"}
}

// worst is a verdict of the findings that count, the first of them giving the reason; nil for none.
func worst(findings []chain.Finding, counts func(chain.Finding) bool) *verdict {
	var v *verdict
	var said []string
	for _, f := range findings {
		if !counts(f) {
			continue
		}
		if v == nil {
			v = &verdict{status: metav1.ConditionFalse, reason: f.Reason}
		}
		said = append(said, f.String())
	}
	if v != nil {
		v.message = first(said)
	}
	return v
}
