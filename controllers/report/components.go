package report

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"seedbed.dev/seedbed/api/v1alpha1"
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

// unitOf is the service of a component; a socket beside it does not count.
func unitOf(desired state.Host, c state.Component) (string, bool) {
	for _, name := range state.SortedKeys(desired.Units) {
		if u := desired.Units[name]; u.Component == c && u.Activity == state.Active && isService(name) {
			return name, true
		}
	}
	return "", false
}

func isService(name string) bool {
	const suffix = ".service"
	return len(name) > len(suffix) && name[len(name)-len(suffix):] == suffix
}

// health is what systemd says of the unit. On a host root nothing runs, so nothing is known.
func health(p *Pass, name string) verdict {
	if p.Offline {
		return verdict{metav1.ConditionUnknown, v1alpha1.ReasonOfflineRoot, "nothing runs on a host root"}
	}
	unit := p.Observed.Units[name]
	if unit.Activity == state.Active {
		return verdict{metav1.ConditionTrue, v1alpha1.ReasonUnitActive, name + " is active"}
	}
	if unit.Missing {
		return verdict{metav1.ConditionFalse, v1alpha1.ReasonUnitMissing, "systemd knows no unit " + name}
	}
	return verdict{metav1.ConditionFalse, v1alpha1.ReasonUnitNotActive, fmt.Sprintf("%s is %s", name, unit.Activity)}
}
