package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"

	"seedbed.dev/seedbed/api/v1alpha1"
)

// statusTimeout bounds `seedbed status`, so that a server that is away is said to be soon.
const statusTimeout = 10 * time.Second

func newStatusCommand() *cobra.Command {
	var kubeconfig, output string
	c := &cobra.Command{
		Use:   "status [--kubeconfig FILE]",
		Short: "Print the fleet at a glance: configurations, nodes, and what is wrong",
		Example: `  seedbed status --kubeconfig admin.kubeconfig
  seedbed status -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), statusTimeout)
			defer cancel()
			server, err := connect(kubeconfig)
			if err != nil {
				return err
			}
			f, err := server.fleet(ctx)
			if err != nil {
				return err
			}
			if output != outputText {
				return encode(cmd.OutOrStdout(), output, f)
			}
			f.print(cmd.OutOrStdout(), time.Now())
			return nil
		},
	}
	c.Flags().StringVar(&kubeconfig, "kubeconfig", "", kubeconfigUsage)
	addOutputFlag(c, &output)
	return c
}

// fleet is all that is configured and all nodes.
type fleet struct {
	NetworkConfigs []v1alpha1.NetworkConfig `json:"networkConfigs"`
	NodeConfigs    []v1alpha1.NodeConfig    `json:"nodeConfigs"`
	NodeStates     []v1alpha1.NodeState     `json:"nodeStates"`
}

// stripManagedFields takes out what is for the API server only, and most of the output otherwise.
func (f *fleet) stripManagedFields() {
	for i := range f.NetworkConfigs {
		f.NetworkConfigs[i].ManagedFields = nil
	}
	for i := range f.NodeConfigs {
		f.NodeConfigs[i].ManagedFields = nil
	}
	for i := range f.NodeStates {
		f.NodeStates[i].ManagedFields = nil
	}
}

func (f *fleet) print(w io.Writer, now time.Time) {
	if len(f.NodeConfigs) == 0 {
		say(w, "%s\n", f.noNodeConfig())
	}
	f.table(w, "CONFIG\tNETWORK\tKUBERNETES\tNODES\tUPDATED\tPREPARED\tREADY\tSTATUS", len(f.NodeConfigs), func(t io.Writer, i int) {
		c := &f.NodeConfigs[i]
		n := c.Status.Nodes
		say(t, "%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s\n", c.Name, c.Spec.NetworkRef.Name, c.Spec.Kubernetes.Version,
			n.Matched, n.Updated, n.Prepared, n.Ready, summary(c.Status.Conditions))
	})
	f.table(w, "NODE\tCONFIG\tREVISION\tPREPARED\tREADY\tDRIFT\tLAST CHANGE\tSTATUS", len(f.NodeStates), func(t io.Writer, i int) {
		n := &f.NodeStates[i]
		say(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", n.Name, orDash(n.Spec.Config), revisionOf(n),
			conditionStatus(n.Status.Conditions, v1alpha1.ConditionPrepared),
			conditionStatus(n.Status.Conditions, v1alpha1.ConditionReady),
			driftOf(n), lastChange(n, now), summary(n.Status.Conditions))
	})
}

// noNodeConfig says what it means that there is none.
func (f *fleet) noNodeConfig() string {
	for i := range f.NodeStates {
		if f.NodeStates[i].Spec.Config != "" {
			return "No NodeConfig any more: nodes are kept as they were assigned."
		}
	}
	return "No NodeConfig yet: apply one, for example kubectl apply -f config/samples/guide"
}

func (f *fleet) table(w io.Writer, header string, rows int, row func(io.Writer, int)) {
	if rows == 0 {
		return
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	say(t, "%s\n", header)
	for i := range rows {
		row(t, i)
	}
	_ = t.Flush() // see print
	say(w, "\n")
}

// summary is the message of the condition that says most. What comes from a node is not trusted
// with a terminal.
func summary(conditions []metav1.Condition) string {
	for _, kind := range []string{v1alpha1.ConditionStalled, v1alpha1.ConditionReady} {
		if c := meta.FindStatusCondition(conditions, kind); c != nil {
			return printable(c.Reason + ": " + c.Message)
		}
	}
	return "not reported yet"
}

// printable replaces control characters, such as a terminal's escape sequences.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || (r >= 0x7f && r < 0xa0) {
			return '?'
		}
		return r
	}, text)
}

func conditionStatus(conditions []metav1.Condition, kind string) string {
	if c := meta.FindStatusCondition(conditions, kind); c != nil {
		return string(c.Status)
	}
	return "-"
}

// revisionOf is what the node is at, and what it is to be at when that differs.
func revisionOf(n *v1alpha1.NodeState) string {
	if n.Status.Revision == n.Spec.Revision {
		return orDash(n.Spec.Revision)
	}
	return orDash(n.Status.Revision) + " → " + orDash(n.Spec.Revision)
}

func driftOf(n *v1alpha1.NodeState) string {
	if n.Status.Drift == nil {
		return "0"
	}
	return fmt.Sprint(n.Status.Drift.Corrected)
}

func lastChange(n *v1alpha1.NodeState, now time.Time) string {
	if n.Status.Apply == nil {
		return "-"
	}
	return duration.HumanDuration(now.Sub(n.Status.Apply.Finished.Time)) + " ago"
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return printable(s)
}
