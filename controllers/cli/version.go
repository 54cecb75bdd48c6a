package cli

import (
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"seedbed.dev/seedbed/controllers/revision"
)

// Version of this program; the build sets it (-ldflags -X).
var Version = "devel"

type versionInfo struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	Renderer int    `json:"renderer"`
}

func newVersionCommand() *cobra.Command {
	var output string
	c := &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Example: `  seedbed version
  seedbed version -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			v := thisVersion()
			if output != outputText {
				return encode(cmd.OutOrStdout(), output, v)
			}
			say(cmd.OutOrStdout(), "seedbed %s (%s, %s, renderer %d)\n", v.Version, v.Go, v.Platform, v.Renderer)
			return nil
		},
	}
	addOutputFlag(c, &output)
	return c
}

func thisVersion() versionInfo {
	v := versionInfo{
		Version: Version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Renderer: revision.Renderer,
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	return v
}
