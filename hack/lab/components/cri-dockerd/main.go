// Command cri-dockerd is upstream's own command. Its module replaces the staging repositories of
// Kubernetes, which counts in the main module only, so that `go install` cannot build it; this
// module repeats them.
package main

import (
	"os"

	"github.com/Mirantis/cri-dockerd/cmd"
	"k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/logs"
)

func main() {
	command := cmd.NewDockerCRICommand(server.SetupSignalHandler())
	logs.InitLogs()
	defer logs.FlushLogs()
	if err := command.Execute(); err != nil {
		logs.FlushLogs()
		os.Exit(1)
	}
}
