package resolve

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"

	"seedbed.dev/seedbed/controllers/state"
)

// evictionSignals are those that the kubelet knows (pkg/kubelet/eviction/api/types.go, v1.37).
var evictionSignals = []string{
	"memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree",
	"containerfs.available", "containerfs.inodesFree", "allocatableMemory.available", "pid.available",
}

// reservable are the resources that can be reserved (cmd/kubelet/app/server.go, parseResourceList).
var reservable = []string{"cpu", "memory", "ephemeral-storage", "pid"}

// kubeletAmounts checks the maps of amounts in a KubeletConfiguration. Its schema takes any text for
// them, and the kubelet parses them only after it has asked the container runtime, which is too late
// for a check of the file by the kubelet itself.
func (r *resolver) kubeletAmounts(c *kubeletv1beta1.KubeletConfiguration) {
	r.eviction("evictionHard", c.EvictionHard, threshold)
	r.eviction("evictionSoft", c.EvictionSoft, threshold)
	r.eviction("evictionSoftGracePeriod", c.EvictionSoftGracePeriod, gracePeriod)
	r.eviction("evictionMinimumReclaim", c.EvictionMinimumReclaim, reclaim)
	for _, signal := range state.SortedKeys(c.EvictionSoft) {
		if _, ok := c.EvictionSoftGracePeriod[signal]; !ok {
			r.invalid("kubelet.config.evictionSoft."+signal, c.EvictionSoft[signal], "has no grace period, without which the kubelet does not start: add evictionSoftGracePeriod.%s, for example 1m", signal)
		}
	}
	r.reserved("kubeReserved", c.KubeReserved)
	r.reserved("systemReserved", c.SystemReserved)
}

func (r *resolver) eviction(name string, amounts map[string]string, problem func(string) string) {
	for _, signal := range state.SortedKeys(amounts) {
		field, value := "kubelet.config."+name+"."+signal, amounts[signal]
		if !slices.Contains(evictionSignals, signal) {
			r.invalid(field, value, "no signal of the kubelet's: use one of %s", strings.Join(evictionSignals, ", "))
		} else if why := problem(value); why != "" {
			r.invalid(field, value, "%s", why)
		}
	}
}

func (r *resolver) reserved(name string, amounts map[string]string) {
	for _, resourceName := range state.SortedKeys(amounts) {
		field, value := "kubelet.config."+name+"."+resourceName, amounts[resourceName]
		if !slices.Contains(reservable, resourceName) {
			r.invalid(field, value, "cannot be reserved: use one of %s", strings.Join(reservable, ", "))
		} else if q, err := resource.ParseQuantity(value); err != nil || q.Sign() < 0 {
			r.invalid(field, value, "not a quantity of 0 or more: for example 500m or 1Gi")
		}
	}
}

// threshold is what is wrong with an amount at which pods are evicted; empty for nothing.
func threshold(value string) string {
	share, isShare := percentage(value)
	q, err := resource.ParseQuantity(value)
	if isShare && share >= 0 && share <= 100 || !isShare && err == nil && q.Sign() > 0 {
		return ""
	}
	return "not a quantity above 0 and no percentage from 0% to 100%: for example 100Mi or 10%"
}

func reclaim(value string) string {
	share, isShare := percentage(value)
	q, err := resource.ParseQuantity(value)
	if isShare && share > 0 || !isShare && err == nil && q.Sign() >= 0 {
		return ""
	}
	return "not a quantity of 0 or more and no percentage above 0%: for example 100Mi or 5%"
}

func gracePeriod(value string) string {
	if d, err := time.ParseDuration(value); err == nil && d >= 0 {
		return ""
	}
	return "not a duration of 0 or more: for example 1m30s"
}

// percentage is the number before a percent sign; NaN, which fits no range, when it is none.
func percentage(value string) (share float64, isShare bool) {
	number, isShare := strings.CutSuffix(value, "%")
	share, err := strconv.ParseFloat(number, 32)
	if err != nil {
		share = math.NaN()
	}
	return share, isShare
}
