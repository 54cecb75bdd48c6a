package testenv

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/config/crd"
)

// assetsVariable is envtest's own name for the folder of the programs.
const assetsVariable = "KUBEBUILDER_ASSETS"

// startTimeout is for each program; generous, since test packages share the machine's cores.
const startTimeout = 90 * time.Second

// ErrNoComponents says that neither KUBEBUILDER_ASSETS nor bin/components/current leads anywhere.
var ErrNoComponents = errors.New("no etcd and kube-apiserver to test with")

// Options of an environment. The zero value is right for most tests.
type Options struct {
	// APIServerFlags are added to kube-apiserver's, by name without dashes.
	APIServerFlags map[string]string
}

// Env is a running control plane.
type Env struct {
	// Config is the administrator's.
	Config *rest.Config
	// Kubeconfig is the administrator's, as a file's bytes.
	Kubeconfig []byte
	// Client is the administrator's; it reads from the API server, never from a cache.
	Client client.Client
	// Scheme has the built-in kinds and Seedbed's.
	Scheme *runtime.Scheme

	control *envtest.Environment
}

// Start runs etcd and kube-apiserver, installs the CRDs and creates the namespace seedbed-system.
// The caller must Stop what it returns. Without the programs the error is ErrNoComponents.
func Start(options Options) (*Env, error) {
	assets, err := assetsFolder(os.Getenv(assetsVariable))
	if err != nil {
		return nil, err
	}
	definitions, err := crd.All()
	if err != nil {
		return nil, err
	}
	env := &Env{Scheme: runtime.NewScheme()}
	if err := errors.Join(clientgoscheme.AddToScheme(env.Scheme), v1alpha1.AddToScheme(env.Scheme)); err != nil {
		return nil, fmt.Errorf("build scheme: %w", err)
	}
	env.control = &envtest.Environment{
		BinaryAssetsDirectory:    assets,
		Scheme:                   env.Scheme,
		CRDs:                     definitions,
		ControlPlaneStartTimeout: startTimeout,
		ControlPlaneStopTimeout:  startTimeout,
	}
	flags := env.control.ControlPlane.GetAPIServer().Configure()
	for name, value := range options.APIServerFlags {
		flags.Set(name, value)
	}
	if err := env.start(); err != nil {
		return nil, errors.Join(err, env.Stop())
	}
	return env, nil
}

func (e *Env) start() error {
	config, err := e.control.Start()
	if err != nil {
		return fmt.Errorf("start control plane: %w", err)
	}
	e.Config, e.Kubeconfig = config, e.control.KubeConfig
	if e.Client, err = client.New(config, client.Options{Scheme: e.Scheme}); err != nil {
		return fmt.Errorf("build client: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1alpha1.Namespace}}
	if err := e.Client.Create(context.Background(), namespace); err != nil {
		return fmt.Errorf("create namespace %s: %w", v1alpha1.Namespace, err)
	}
	return nil
}

// Stop ends what Start began and deletes its data.
func (e *Env) Stop() error {
	if err := e.control.Stop(); err != nil {
		return fmt.Errorf("stop control plane: %w", err)
	}
	return nil
}

// User returns a configuration that authenticates as a user of that name and groups. What the user
// may do is up to the RBAC objects that the test creates.
func (e *Env) User(name string, groups ...string) (*rest.Config, error) {
	user, err := e.control.AddUser(envtest.User{Name: name, Groups: groups}, rest.CopyConfig(e.Config))
	if err != nil {
		return nil, fmt.Errorf("add user %s: %w", name, err)
	}
	return user.Config(), nil
}

// TrustClients makes the API server accept certificates that another authority signs, given as PEM,
// after a moment.
func (e *Env) TrustClients(authority []byte) error {
	name := filepath.Join(e.control.ControlPlane.GetAPIServer().CertDir, "client-cert-auth-ca.crt")
	trusted, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("trust another authority: %w", err)
	}
	if err := os.WriteFile(name, append(trusted, authority...), 0o600); err != nil {
		return fmt.Errorf("trust another authority: %w", err)
	}
	return nil
}

// Kubectl runs the real kubectl as the administrator and returns its standard output. The error of
// a kubectl that failed holds its standard error.
func (e *Env) Kubectl(args ...string) (string, error) {
	admin, err := e.control.AddUser(envtest.User{Name: "kubectl", Groups: []string{"system:masters"}}, rest.CopyConfig(e.Config))
	if err != nil {
		return "", fmt.Errorf("add user kubectl: %w", err)
	}
	kubectl, err := admin.Kubectl()
	if err != nil {
		return "", fmt.Errorf("prepare kubectl: %w", err)
	}
	stdout, stderr, err := kubectl.Run(args...)
	if err != nil {
		return "", fmt.Errorf("kubectl %v: %w: %s", args, err, text(stderr))
	}
	return text(stdout), nil
}

func text(r io.Reader) string {
	var b bytes.Buffer
	if r != nil {
		_, _ = b.ReadFrom(r) // r is kubectl's output in memory
	}
	return b.String()
}

// assetsFolder returns the folder with the programs: the given one, or bin/components/current in
// the nearest folder upwards that has a go.mod.
func assetsFolder(given string) (string, error) {
	if given != "" {
		return given, checkAssets(given)
	}
	root, err := repositoryRoot()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(root, "bin", "components", "current")
	return folder, checkAssets(folder)
}

func checkAssets(folder string) error {
	for _, program := range []string{"etcd", "kube-apiserver"} {
		if _, err := os.Stat(filepath.Join(folder, program)); err != nil {
			return fmt.Errorf("%w: %w; run: make components", ErrNoComponents, err)
		}
	}
	return nil
}

func repositoryRoot() (string, error) {
	folder, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for {
		_, err := os.Stat(filepath.Join(folder, "go.mod"))
		if err == nil {
			return folder, nil
		}
		parent := filepath.Dir(folder)
		if !errors.Is(err, fs.ErrNotExist) || parent == folder {
			return "", fmt.Errorf("%w: no go.mod above the working folder; set %s, or run: make components", ErrNoComponents, assetsVariable)
		}
		folder = parent
	}
}
