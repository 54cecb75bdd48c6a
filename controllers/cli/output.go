package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"
)

const (
	outputText = "text"
	outputYAML = "yaml"
	outputJSON = "json"
)

var outputs = []string{outputText, outputYAML, outputJSON}

// addOutputFlag adds -o and refuses what it does not know before the command runs.
func addOutputFlag(c *cobra.Command, output *string) {
	c.Flags().StringVarP(output, "output", "o", outputText, "how to print: "+strings.Join(outputs, ", "))
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	before := c.PreRunE
	c.PreRunE = func(cmd *cobra.Command, args []string) error {
		if !slices.Contains(outputs, *output) {
			return fmt.Errorf("--output %q is not known: use one of %s", *output, strings.Join(outputs, ", "))
		}
		if before != nil {
			return before(cmd, args)
		}
		return nil
	}
}

// encode prints a value for a program.
func encode(w io.Writer, output string, v any) error {
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("print as %s: %w", output, err)
	}
	raw = append(raw, '\n')
	if output == outputYAML {
		if raw, err = yaml.JSONToYAML(raw); err != nil {
			return fmt.Errorf("print as %s: %w", output, err)
		}
	}
	_, err = w.Write(raw)
	return err
}
