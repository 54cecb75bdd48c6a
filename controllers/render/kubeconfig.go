package render

import "seedbed.dev/seedbed/controllers/resolve"

// The part of a kubeconfig that is written here (client-go, tools/clientcmd/api/v1, whose package
// is a client's and not for a pure stage). The tests read the files with clientcmd.
type kubeconfigFile struct {
	APIVersion     string         `json:"apiVersion"`
	Kind           string         `json:"kind"`
	Clusters       []namedCluster `json:"clusters"`
	Users          []namedUser    `json:"users"`
	Contexts       []namedContext `json:"contexts"`
	CurrentContext string         `json:"current-context"`
}

type namedCluster struct {
	Name    string `json:"name"`
	Cluster struct {
		Server               string `json:"server"`
		CertificateAuthority string `json:"certificate-authority"`
	} `json:"cluster"`
}

type namedUser struct {
	Name string      `json:"name"`
	User credentials `json:"user"`
}

// credentials are a token, or a certificate with its key.
type credentials struct {
	Token             string `json:"token,omitempty"`
	ClientCertificate string `json:"client-certificate,omitempty"`
	ClientKey         string `json:"client-key,omitempty"`
}

type namedContext struct {
	Name    string `json:"name"`
	Context struct {
		Cluster string `json:"cluster"`
		User    string `json:"user"`
	} `json:"context"`
}

// kubeconfig for one user of the cluster's API server, verified by the cluster's CA (SB019, SB021).
func kubeconfig(n resolve.Node, user string, auth credentials) ([]byte, error) {
	const name = "cluster"
	cluster, context := namedCluster{Name: name}, namedContext{Name: name}
	cluster.Cluster.Server = n.Kubernetes.APIServer
	cluster.Cluster.CertificateAuthority = resolve.PathClusterCA
	context.Context.Cluster, context.Context.User = name, user
	return yamlFile(kubeconfigFile{
		APIVersion: "v1", Kind: "Config", CurrentContext: name,
		Clusters: []namedCluster{cluster},
		Users:    []namedUser{{Name: user, User: auth}},
		Contexts: []namedContext{context},
	})
}

// clientCertificate names a certificate that the agent obtains, with its key in the same file;
// client-go reads the file again when it is renewed.
func clientCertificate(pem string) credentials {
	return credentials{ClientCertificate: pem, ClientKey: pem}
}
