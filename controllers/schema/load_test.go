package schema_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"seedbed.dev/seedbed/controllers/schema"
)

const network = `apiVersion: seedbed.dev/v1alpha1
kind: NetworkConfig
metadata: {name: default}
spec:
  podCIDR: 172.30.0.0/16
  serviceCIDR: 10.254.0.0/16
  interface:
    name: eth4
`

const node = `apiVersion: seedbed.dev/v1alpha1
kind: NodeConfig
metadata:
  name: workers
spec:
  nodeSelector: {}
  networkRef: {name: default}
  kubernetes:
    version: v1.37.2
    apiServer: https://10.64.3.1:6443
    caSecretRef: {name: cluster-ca, key: ca.crt}
`

func TestLoadErrorsNameFileLineFieldAndCure(t *testing.T) {
	for _, c := range []struct {
		reason, text string
		want         []string
	}{
		{"a value breaks a rule of the CRD", strings.Replace(network, "172.30.0.0/16", "172.30.5.1/16", 1), []string{
			`f.yaml:5: spec.podCIDR: Invalid value: "172.30.5.1/16": podCIDR 172.30.5.1/16 has host bits set: write the first address of the range, as in 172.30.0.0/16`,
		}},
		{"a rule about two fields points at the one to change", strings.Replace(network, "10.254.0.0/16", "172.30.16.0/20", 1), []string{
			"f.yaml:6: spec.serviceCIDR: Invalid value: serviceCIDR 172.30.16.0/20 overlaps podCIDR 172.30.0.0/16: choose ranges that share no address, for example 172.30.0.0/16 and 10.254.0.0/16",
		}},
		{"all that is wrong is told, by line", node + "  docker:\n    maxConcurrentDownloads: 0\n    registryMirrors:\n    - https://a\n    - b\n  sysctls: {vm.x: \"a\\nb\"}\n", []string{
			"f.yaml:13: spec.docker.maxConcurrentDownloads: Invalid value: 0: spec.docker.maxConcurrentDownloads in body should be greater than or equal to 1",
			`f.yaml:16: spec.docker.registryMirrors[1]: Invalid value: "b": registry mirror b has no scheme, and dockerd would refuse to start (SB013): write https://b`,
			`f.yaml:17: spec.sysctls[vm.x]: Invalid value: "a\nb": sysctl value a b has characters that no sysctl takes: use letters, digits, spaces and . / _ : , + - on one line, for example 786432`,
		}},
		{"a field is misspelt", node + "  docker:\n    registryMirror: [https://a]\n", []string{
			"f.yaml:13: spec.docker.registryMirror: unknown field; did you mean registryMirrors?",
		}},
		{"a field is unknown altogether", node + "  files:\n  - path: /etc/x\n    contents: x\n    selinuxLabel: y\n", []string{
			"f.yaml:15: spec.files[0].selinuxLabel: unknown field; remove it (kubectl explain lists the fields)",
		}},
		{"an unknown field of metadata", strings.Replace(network, "{name: default}", "{name: default, label: x}", 1), []string{
			"f.yaml:3: metadata.label: unknown field; remove it",
		}},
		{"a key is given twice", network + "  podCIDR: 10.0.0.0/8\n", []string{
			"f.yaml:9: spec.podCIDR: is given twice, first on line 5: remove one",
		}},
		{"a required field is missing", strings.Replace(network, "  podCIDR: 172.30.0.0/16\n", "", 1), []string{
			"f.yaml:4: spec.podCIDR: Required value; add it",
		}},
		{"a value has the wrong type", node + "  files:\n  - {path: /etc/x, contents: x, mode: 0644}\n", []string{
			`f.yaml:13: spec.files[0].mode: Invalid value: "integer": spec.files[0].mode in body must be of type string: "integer"; write a value of that type (text that looks like a number or boolean needs quotes)`,
		}},
		{"a word that YAML takes for a boolean, as kubectl does", strings.Replace(node, "{name: cluster-ca, key: ca.crt}", "{name: on, key: ca.crt}", 1), []string{
			`f.yaml:11: spec.kubernetes.caSecretRef.name: Invalid value: "boolean": spec.kubernetes.caSecretRef.name in body must be of type string: "boolean"; write a value of that type (text that looks like a number or boolean needs quotes)`,
		}},
		{"the version is not known", strings.Replace(network, "v1alpha1", "v1beta1", 1), []string{
			`f.yaml:1: apiVersion: Invalid value: "seedbed.dev/v1beta1": must be seedbed.dev/v1alpha1`,
		}},
		{"the kind is not known", strings.Replace(network, "kind: NetworkConfig", "kind: NetConfig", 1), []string{
			`f.yaml:2: kind: Unsupported value: "NetConfig": supported values: "NetworkConfig", "NodeConfig", "NodeState"`,
		}},
		{"the kind is another group's", "apiVersion: apps/v1\nkind: Deployment\n", []string{
			"f.yaml:2: kind: Deployment of apps/v1 is not read here: write a NetworkConfig, NodeConfig or NodeState of seedbed.dev/v1alpha1, or a Secret or Namespace of v1",
		}},
		{"there is no kind", "# a comment\npodCIDR: 172.30.0.0/16\n", []string{
			"f.yaml:2: has no apiVersion and kind: write both, for example apiVersion: seedbed.dev/v1alpha1 and kind: NodeConfig",
		}},
		{"there is no metadata", strings.Replace(network, "metadata: {name: default}\n", "", 1), []string{
			"f.yaml:1: metadata.name: Required value: name or generateName is required; add it",
		}},
		{"the second document is wrong", network + "---\n" + strings.Replace(node, "v1.37.2", "1.37.2", 1), []string{
			`f.yaml:18: spec.kubernetes.version: Invalid value: "1.37.2": kubernetes.version 1.37.2 is not a version: write v, major, minor and patch, for example v1.37.2`,
		}},
		{"the same object twice", network + "---\n" + network, []string{
			"f.yaml:10: metadata.name: NetworkConfig default is given twice, first on line 1: remove one",
		}},
		{"the text is no YAML", network + "---\nspec: [a\nb: c\n", []string{
			"f.yaml:10: is not YAML: did not find expected ',' or ']'; check indentation, quotes and colons",
		}},
		{"tabs indent", "apiVersion: seedbed.dev/v1alpha1\nspec:\n\tpodCIDR: x\n", []string{
			"f.yaml:3: is not YAML: found character that cannot start any token; check indentation, quotes and colons",
		}},
		{"the text is a list", "- a\n", []string{
			"f.yaml:1: is not an object: write apiVersion, kind, metadata and spec as key: value",
		}},
		{"JSON is read too", `{"apiVersion": "seedbed.dev/v1alpha1", "kind": "NetworkConfig",` + "\n" + `"metadata": {"name": "a"},` + "\n" + `"spec": {"podCIDR": "x", "serviceCIDR": "10.254.0.0/16", "interface": {"name": "eth4"}}}`, []string{
			`f.yaml:3: spec.podCIDR: Invalid value: "x": podCIDR x is not an IPv4 range in CIDR notation: write address/length, for example 172.30.0.0/16`,
		}},
		{"a Secret's value is not base64", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n  key: hunter2!\n", []string{
			"f.yaml:5: data.key: is not base64: encode the value, or move it to stringData as plain text",
		}},
		{"a Secret's field is unknown", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndatas: {}\n", []string{
			"f.yaml:4: datas: is no field of a Secret: correct or remove it",
		}},
		{"a Secret's value is a number", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  pin: 0042\n", []string{
			"f.yaml:5: stringData.pin: is not text: put it in quotes",
		}},
		{"a Secret's type is a list", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: [Opaque]\n", []string{
			"f.yaml:4: type: is not of the type that a Secret has there: correct it",
		}},
		{"a Secret is in another namespace", "apiVersion: v1\nkind: Secret\nmetadata:\n  name: a\n  namespace: default\n", []string{
			"f.yaml:5: metadata.namespace: default is not read: references lead to Secrets in seedbed-system",
		}},
		{"a Secret has no name", "apiVersion: v1\nkind: Secret\nmetadata: {}\n", []string{
			"f.yaml:3: metadata.name: is missing: add the name that the references use",
		}},
	} {
		t.Run(c.reason, func(t *testing.T) {
			_, err := schema.Load("f.yaml", strings.NewReader(c.text))
			if diff := cmp.Diff(c.want, lines(err)); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}

func lines(err error) []string {
	if err == nil {
		return nil
	}
	return strings.Split(err.Error(), "\n")
}

func TestEveryErrorOfAFileIsTyped(t *testing.T) {
	_, err := schema.Load("f.yaml", strings.NewReader(strings.Replace(network, "172.30", "999.30", 1)))
	var e *schema.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v, want a *schema.Error", err)
	}
	if e.File != "f.yaml" || e.Line != 5 || e.Field != "spec.podCIDR" || e.Problem == "" {
		t.Errorf("got %+v, want file, line 5, field and problem", e)
	}
}

func TestLoadReturnsTypedObjects(t *testing.T) {
	text := "# a comment\n---\n" + network + "---\n" + node + `  docker:
    daemonConfig: {debug: true}
  rollout: {maxUnavailable: 25%}
---
---
apiVersion: v1
kind: Namespace
metadata: {name: seedbed-system}
--- # a Secret
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: seedbed-system}
data: {a: eA==}
stringData: {b: "y"}
`
	objects, err := schema.Load("f.yaml", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if len(objects.NetworkConfigs) != 1 || len(objects.NodeConfigs) != 1 || len(objects.Secrets) != 1 || len(objects.NodeStates) != 0 {
		t.Fatalf("got %d networks, %d nodes, %d secrets, %d states", len(objects.NetworkConfigs), len(objects.NodeConfigs), len(objects.Secrets), len(objects.NodeStates))
	}
	spec := objects.NodeConfigs[0].Spec
	if got := string(spec.Docker.DaemonConfig.Raw); got != `{"debug":true}` {
		t.Errorf("daemonConfig is %s", got)
	}
	if got := spec.Rollout.MaxUnavailable.String(); got != "25%" {
		t.Errorf("maxUnavailable is %s", got)
	}
	want := map[string][]byte{"a": []byte("x"), "b": []byte("y")}
	if diff := cmp.Diff(want, objects.Secrets[0].Data); diff != "" {
		t.Errorf("Secret (-want +got):\n%s", diff)
	}
}

func TestNoErrorTellsAValueOfASecret(t *testing.T) {
	for _, text := range []string{
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {key: hunter2!}\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {key: {hunter2: 1}}\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: [hunter2]\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {key: [hunter2]}\n",
		"apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {key: 'hunter2}\n",
	} {
		_, err := schema.Load("f.yaml", strings.NewReader(text))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v", err)
		}
	}
}

func TestHugeInputIsRefusedEarly(t *testing.T) {
	bomb := "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 9; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s*a%d]\n", i, i, strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 9), i-1)
	}
	for _, c := range []struct{ reason, text, want string }{
		{"larger than a request", network + strings.Repeat("# padding\n", 400_000), "f.yaml: is larger than 3145728 bytes: split it into several files"},
		{"aliases to aliases", bomb, "is too large with its aliases written out: at most 200000 values, 100 deep"},
		{"deep nesting", "a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "is too large with its aliases written out"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			_, err := schema.Load("f.yaml", strings.NewReader(c.text))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %.200v, want %s", err, c.want)
			}
		})
	}
}

func TestLoadFacts(t *testing.T) {
	facts, err := schema.LoadFacts("facts.yaml", strings.NewReader("hostname: node-a\ninterfaces:\n- {name: eth4, mtu: 1500, addresses: [10.64.3.8/26]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if facts.Hostname != "node-a" || facts.Interfaces[0].Addresses[0] != "10.64.3.8/26" {
		t.Errorf("got %+v", facts)
	}
	for _, c := range []struct{ reason, text, want string }{
		{"a misspelt field", "hostnam: a\n", "facts.yaml:1: hostnam: unknown field; did you mean hostname?"},
		{"an address without length", "interfaces:\n- name: eth4\n  addresses: [10.64.3.8]\n", `facts.yaml:3: interfaces[0].addresses[0]: Invalid value: "10.64.3.8": address 10.64.3.8 is not in CIDR notation: write address/length, for example 10.64.3.8/26`},
		{"two components of a name", "components:\n- {name: docker, path: /a, source: Binary}\n- {name: docker, path: /b, source: Binary}\n", `facts.yaml:3: components[1]: Duplicate value: {"name":"docker"}; remove one`},
		{"two documents", "hostname: a\n---\nhostname: b\n", "facts.yaml: has 2 documents: a facts file has one, with fields such as hostname and interfaces"},
		{"nothing", "", "facts.yaml: has 0 documents: a facts file has one, with fields such as hostname and interfaces"},
	} {
		t.Run(c.reason, func(t *testing.T) {
			_, err := schema.LoadFacts("facts.yaml", strings.NewReader(c.text))
			if diff := cmp.Diff([]string{c.want}, lines(err)); diff != "" {
				t.Errorf("errors (-want +got):\n%s", diff)
			}
		})
	}
}
