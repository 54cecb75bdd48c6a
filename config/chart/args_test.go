package chart_test

import (
	"testing"

	appsv1 "k8s.io/api/apps/v1"

	"seedbed.dev/seedbed/controllers/cli"
)

func TestTheManagerKnowsItsArguments(t *testing.T) {
	for _, values := range []string{"--set=manager.replicas=2", allValues} {
		deployment := as[appsv1.Deployment](t, pick(t, render(t, values), "Deployment", "seedbed-manager"))
		args := deployment.Spec.Template.Spec.Containers[0].Args
		command, rest, err := cli.NewRoot().Find(args)
		if err != nil {
			t.Fatal(err)
		}
		if command.Name() != "manager" {
			t.Errorf("%v runs %q, want the manager", args, command.Name())
		}
		if err := command.ParseFlags(rest); err != nil {
			t.Errorf("%v: %v", args, err)
		}
	}
}
