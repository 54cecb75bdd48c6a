package join

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/cert"
	"k8s.io/client-go/util/keyutil"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/credentials"
)

// machineIDFile is machine-id(5).
const machineIDFile = "/etc/machine-id"

func (n *Node) machineID() (string, error) {
	const cure = "make one with systemd-machine-id-setup; a machine that was cloned needs a new one"
	file, found, err := n.Host.Files.Read(machineIDFile)
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(file.Content))
	if !found || len(id) != 32 {
		return "", problemf(cure, "%s has no machine id", machineIDFile)
	}
	return id, nil
}

// identity is what the token was exchanged for.
type identity struct {
	certPEM, keyPEM []byte
	// requested is when the server took note of the request.
	requested metav1.Time
}

// obtain makes a key, asks for a certificate with the token, and waits until it is signed.
func (j *joining) obtain(ctx context.Context, authority []byte) (identity, error) {
	r := j.request
	machineID, err := j.machineID()
	if err != nil {
		return identity{}, err
	}
	keyPEM, requestPEM, err := newRequest(credentials.Agent(r.Node))
	if err != nil {
		return identity{}, err
	}
	api, err := newClient(&rest.Config{Host: r.Server, BearerToken: r.token, TLSClientConfig: rest.TLSClientConfig{CAData: authority}})
	if err != nil {
		return identity{}, err
	}
	csr := &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: v1alpha1.AgentRequestPrefix(r.Node), Annotations: map[string]string{v1alpha1.MachineIDAnnotation: machineID},
		},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request: requestPEM, SignerName: credentials.Signer, Usages: credentials.Usages(),
		},
	}
	ask, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	if err := api.Create(ask, csr); err != nil {
		id, _, _ := strings.Cut(r.token, ".")
		return identity{}, refusedToken(r.Server, id, err)
	}
	j.Say("asked %s for a certificate; waiting until CertificateSigningRequest %s is approved", r.Server, csr.Name)
	err = j.signed(ctx, api, csr)
	if err == nil {
		err = checkSigned(credentials.Agent(r.Node), csr.Status.Certificate, j.Now())
	}
	if err != nil {
		j.sayRequested(csr)
		return identity{}, err
	}
	return identity{certPEM: csr.Status.Certificate, keyPEM: keyPEM, requested: csr.CreationTimestamp}, nil
}

// sayRequested names what the token may not take back.
func (j *joining) sayRequested(csr *certificatesv1.CertificateSigningRequest) {
	switch {
	case approved(csr) && j.old == nil:
		j.Say("CertificateSigningRequest %[1]s stays, and NodeState %[2]s, which was made when it was approved if it was not there before; an administrator removes them: "+
			"kubectl delete csr %[1]s; kubectl delete nodestate %[2]s", csr.Name, j.request.Node)
	case refusal(csr) == nil:
		j.Say("CertificateSigningRequest %[1]s stays, if it is there; an administrator removes it, so that nobody approves it any more: kubectl delete csr %[1]s", csr.Name)
	}
}

func newRequest(c credentials.Client) (keyPEM, requestPEM []byte, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, c.Template(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("make a certificate request: %w", err)
	}
	if keyPEM, err = keyutil.MarshalPrivateKeyToPEM(key); err != nil {
		return nil, nil, fmt.Errorf("encode a key: %w", err)
	}
	return keyPEM, pem.EncodeToMemory(&pem.Block{Type: cert.CertificateRequestBlockType, Bytes: der}), nil
}

// signed waits until csr has its certificate, and keeps csr as it was last seen. Answers that fail are
// asked for again: the server may restart.
func (n *Node) signed(ctx context.Context, api client.Client, csr *certificatesv1.CertificateSigningRequest) error {
	told := false
	var away error
	for {
		var now certificatesv1.CertificateSigningRequest
		err := api.Get(ctx, client.ObjectKeyFromObject(csr), &now)
		if ctx.Err() == nil { // otherwise it says no more than that
			away = err
		}
		switch {
		case apierrors.IsNotFound(err), err == nil && now.UID != csr.UID:
			return problemf("run join again", "CertificateSigningRequest %s was deleted before it was signed", csr.Name)
		case apierrors.IsUnauthorized(err):
			return because(err, "make a new one on the seed with `seedbed seed token create`", "the token is no longer accepted")
		case err == nil:
			*csr = now
			if problem := refusal(csr); problem != nil {
				return problem
			}
			if len(csr.Status.Certificate) > 0 {
				return nil
			}
			if approved(csr) && !told {
				n.Say("approved; waiting until it is signed")
				told = true
			}
		}
		if stop := n.pause(ctx); stop != nil {
			return unsigned(csr, stop, away)
		}
	}
}

// unsigned says who did not do what was waited for. away is the error of the last answer in time.
func unsigned(csr *certificatesv1.CertificateSigningRequest, stop, away error) *Problem {
	switch {
	case away != nil:
		return because(cause(away), "is the seed up? Run join again when it is", "asking for CertificateSigningRequest %s until join gave up", csr.Name)
	case approved(csr):
		return because(stop, "kube-controller-manager signs, given --cluster-signing-cert-file and --cluster-signing-key-file; where there is none, start the manager with --signing-cert and --signing-key",
			"CertificateSigningRequest %s was approved, and nobody signed it in time for %s", csr.Name, csr.Spec.SignerName)
	}
	return because(stop, "is the manager running? An administrator can look at it: kubectl get csr "+csr.Name,
		"CertificateSigningRequest %s was neither approved nor denied in time", csr.Name)
}

func approved(csr *certificatesv1.CertificateSigningRequest) bool {
	for _, c := range csr.Status.Conditions {
		if c.Type == certificatesv1.CertificateApproved && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

// refusal is the manager's or an administrator's word on a request that will not be signed.
func refusal(csr *certificatesv1.CertificateSigningRequest) *Problem {
	for _, c := range csr.Status.Conditions {
		switch {
		case c.Status == corev1.ConditionFalse:
		case c.Type == certificatesv1.CertificateDenied:
			return problemf("cure that and run join again", "the cluster does not let this host join: %s", c.Message)
		case c.Type == certificatesv1.CertificateFailed:
			return problemf("cure that and run join again", "the cluster could not sign the certificate: %s", c.Message)
		}
	}
	return nil
}

// checkSigned makes sure that what was signed is what was asked for, and is valid here and now.
func checkSigned(c credentials.Client, certPEM []byte, now time.Time) error {
	const cure = "look at the cluster's signer, and run join again"
	certs, err := cert.ParseCertsPEM(certPEM)
	if err != nil {
		return because(err, cure, "the cluster signed something that is no certificate")
	}
	switch leaf := certs[0]; {
	case !c.Fits(leaf):
		return problemf(cure, "the cluster signed a certificate for %q instead of %q", leaf.Subject.CommonName, c.User)
	case now.Before(leaf.NotBefore), now.After(leaf.NotAfter):
		return problemf("set the clocks of this host and of the seed (timedatectl set-ntp true), and run join again",
			"the certificate is valid from %s to %s, and here it is %s", stamp(leaf.NotBefore), stamp(leaf.NotAfter), stamp(now))
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
