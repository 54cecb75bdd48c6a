package v1alpha1_test

import (
	"errors"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"seedbed.dev/seedbed/controllers/schema"
	"seedbed.dev/seedbed/controllers/testenv"
)

// env and offline judge every object twice: the real API server, and the CLI's and agent's validator.
var (
	env     *testenv.Env
	offline *schema.Validator
)

func TestAPI(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "The API")
}

var _ = BeforeSuite(func() {
	var err error
	env, err = testenv.Start(testenv.Options{})
	if testing.Short() && errors.Is(err, testenv.ErrNoComponents) {
		Skip(err.Error())
	}
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(env.Stop()).To(Succeed()) })
	offline, err = schema.New()
	Expect(err).NotTo(HaveOccurred())
})

// The smallest valid objects; cases patch them.
const (
	networkConfig = `{apiVersion: seedbed.dev/v1alpha1, kind: NetworkConfig, metadata: {name: case},
		spec: {podCIDR: 172.30.0.0/16, serviceCIDR: 10.254.0.0/16, interface: {name: eth4}}}`
	nodeConfig = `{apiVersion: seedbed.dev/v1alpha1, kind: NodeConfig, metadata: {name: case},
		spec: {nodeSelector: {matchLabels: {role: worker}}, networkRef: {name: default},
			kubernetes: {version: v1.37.2, apiServer: "https://10.64.3.1:6443", caSecretRef: {name: cluster-ca, key: ca.crt}}}}`
	nodeState = `{apiVersion: seedbed.dev/v1alpha1, kind: NodeState, metadata: {name: case}}`
)

// patched is base with a patch in YAML, merged as JSON merge patches are (RFC 7386).
func patched(base, patch string) *unstructured.Unstructured {
	GinkgoHelper()
	var object map[string]any
	Expect(yaml.Unmarshal([]byte(clean(base)), &object)).To(Succeed())
	u := &unstructured.Unstructured{Object: whole(object).(map[string]any)}
	apply(u, patch)
	return u
}

// apply merges a patch in YAML into an object.
func apply(u *unstructured.Unstructured, patch string) {
	GinkgoHelper()
	var change map[string]any
	Expect(yaml.Unmarshal([]byte(clean(patch)), &change)).To(Succeed(), patch)
	u.Object = merge(u.Object, change)
}

func merge(object, patch map[string]any) map[string]any {
	for key, value := range patch {
		inner, isMap := value.(map[string]any)
		before, wasMap := object[key].(map[string]any)
		switch {
		case value == nil:
			delete(object, key)
		case isMap && wasMap:
			object[key] = merge(before, inner)
		case isMap:
			object[key] = merge(map[string]any{}, inner)
		default:
			object[key] = whole(value)
		}
	}
	return object
}

// whole turns the floats of a YAML decoder into the whole numbers that an API client sends.
func whole(value any) any {
	switch v := value.(type) {
	case float64:
		if v == float64(int64(v)) {
			return int64(v)
		}
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = whole(v[key])
		}
	}
	return value
}

// clean replaces the tabs that Go's formatting puts into a literal, which YAML does not take.
func clean(text string) string {
	out := []byte(text)
	for i, c := range out {
		if c == '\t' {
			out[i] = ' '
		}
	}
	return string(out)
}
