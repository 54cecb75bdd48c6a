package rollout

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// Selection says which NodeConfig governs which node.
type Selection struct {
	// Governor is the one NodeConfig that governs a node. A node that no NodeConfig selects, or
	// over which several are tied, is not in it.
	Governor map[string]string
	// Tied has, by node, the NodeConfigs of equal and highest priority that select it, by name.
	Tied map[string][]string
	// Invalid has, by NodeConfig, what is wrong with its nodeSelector.
	Invalid map[string]error
}

// Conflict is one node that a NodeConfig does not govern, because others select it with the same
// priority.
type Conflict struct {
	Node string
	// Others are the NodeConfigs on the other side, by name.
	Others []string
}

// Select finds the governor of each node: the NodeConfig of the highest priority whose selector
// matches the node's labels. A NodeConfig with a selector that cannot be read keeps the nodes it
// has, so that a typing error does not hand them to another one.
func Select(configs []*v1alpha1.NodeConfig, nodes []*v1alpha1.NodeState) Selection {
	s := Selection{
		Governor: make(map[string]string, len(nodes)),
		Tied:     map[string][]string{},
		Invalid:  map[string]error{},
	}
	selectors := make([]labels.Selector, len(configs))
	for i, c := range configs {
		selector, err := metav1.LabelSelectorAsSelector(&c.Spec.NodeSelector)
		if err != nil {
			s.Invalid[c.Name] = fmt.Errorf("nodeSelector: %w", err)
			continue
		}
		selectors[i] = selector
	}
	for _, n := range nodes {
		switch names := highest(configs, selectors, n); len(names) {
		case 0:
		case 1:
			s.Governor[n.Name] = names[0]
		default:
			slices.Sort(names)
			s.Tied[n.Name] = names
		}
	}
	return s
}

// highest returns the names of the NodeConfigs of the highest priority among those that select n.
func highest(configs []*v1alpha1.NodeConfig, selectors []labels.Selector, n *v1alpha1.NodeState) []string {
	var names []string
	var priority int32
	for i, c := range configs {
		if !selects(selectors[i], c, n) || (len(names) > 0 && c.Spec.Priority < priority) {
			continue
		}
		if len(names) > 0 && c.Spec.Priority > priority {
			names = names[:0]
		}
		names, priority = append(names, c.Name), c.Spec.Priority
	}
	return names
}

func selects(selector labels.Selector, c *v1alpha1.NodeConfig, n *v1alpha1.NodeState) bool {
	if selector == nil {
		return n.Spec.Config == c.Name
	}
	return selector.Matches(labels.Set(n.Labels))
}

// Governed returns those of nodes that config governs, by name.
func (s Selection) Governed(config string, nodes []*v1alpha1.NodeState) []*v1alpha1.NodeState {
	var governed []*v1alpha1.NodeState
	for _, n := range nodes {
		if s.Governor[n.Name] == config {
			governed = append(governed, n)
		}
	}
	slices.SortFunc(governed, byName)
	return governed
}

// Conflicts returns the nodes that config would govern but for a tie, by name.
func (s Selection) Conflicts(config string) []Conflict {
	var conflicts []Conflict
	for node, names := range s.Tied {
		i := slices.Index(names, config)
		if i < 0 {
			continue
		}
		others := slices.Delete(slices.Clone(names), i, i+1)
		conflicts = append(conflicts, Conflict{Node: node, Others: others})
	}
	slices.SortFunc(conflicts, func(a, b Conflict) int { return strings.Compare(a.Node, b.Node) })
	return conflicts
}

// Left returns the nodes that were assigned by config and that no NodeConfig selects any more, by
// name. They keep what they have: removal is only ever explicit.
func (s Selection) Left(config string, nodes []*v1alpha1.NodeState) []string {
	var left []string
	for _, n := range nodes {
		if n.Spec.Config == config && s.Governor[n.Name] == "" && s.Tied[n.Name] == nil {
			left = append(left, n.Name)
		}
	}
	slices.Sort(left)
	return left
}
