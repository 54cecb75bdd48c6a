package install

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	bootstrapapi "k8s.io/cluster-bootstrap/token/api"
	ctrlclient "sigs.k8s.io/controller-runtime/pkg/client"

	"seedbed.dev/seedbed/api/v1alpha1"
	"seedbed.dev/seedbed/controllers/approve"
)

// Token is a bootstrap token and what it may be used for.
type Token struct {
	// ID is the public half, Secret the other.
	ID, Secret string
	Scope      approve.Scope
}

// TokenInfo is what may be told about a token.
type TokenInfo struct {
	ID    string
	Scope approve.Scope
	// Problem says why no node can join with it; "" when one can.
	Problem string
}

// NoTokenError says that there is no token of that id.
type NoTokenError struct{ ID string }

func (e *NoTokenError) Error() string {
	return fmt.Sprintf("token %s: there is none: see `seedbed seed token list`", e.ID)
}

// CreateToken makes the Secret by which the API server knows a token, after the ConfigMap by which the
// manager knows what it is for. When the former fails, the latter is taken back.
func (i *Installer) CreateToken(ctx context.Context, t Token) error {
	data, err := t.Scope.Data()
	if err != nil {
		return err
	}
	scope := scopeObject(t.ID)
	scope.Data = data
	if err := i.client.Create(ctx, scope, fieldOwner); err != nil {
		return fmt.Errorf("create ConfigMap %s/%s: %w", scope.Namespace, scope.Name, err)
	}
	secret := tokenObject(t.ID)
	secret.Type = bootstrapapi.SecretTypeBootstrapToken
	secret.StringData = map[string]string{
		bootstrapapi.BootstrapTokenIDKey:               t.ID,
		bootstrapapi.BootstrapTokenSecretKey:           t.Secret,
		bootstrapapi.BootstrapTokenExpirationKey:       t.Scope.Expires.UTC().Format(time.RFC3339),
		bootstrapapi.BootstrapTokenDescriptionKey:      "lets nodes join; made by seedbed seed token create",
		bootstrapapi.BootstrapTokenUsageAuthentication: "true",
		bootstrapapi.BootstrapTokenUsageSigningKey:     "true",
		bootstrapapi.BootstrapTokenExtraGroupsKey:      v1alpha1.BootstrapGroup,
	}
	if err := i.client.Create(ctx, secret, fieldOwner); err != nil {
		err = fmt.Errorf("create Secret %s/%s: %w", secret.Namespace, secret.Name, err)
		// The wish to stop must not leave half a token behind.
		return errors.Join(err, ctrlclient.IgnoreNotFound(i.client.Delete(context.WithoutCancel(ctx), scope)))
	}
	return nil
}

// DeleteToken deletes both; a *NoTokenError says that neither was there. The Secret goes first: with it
// goes the right to ask.
func (i *Installer) DeleteToken(ctx context.Context, id string) error {
	found := false
	for _, o := range []ctrlclient.Object{tokenObject(id), scopeObject(id)} {
		err := i.client.Delete(ctx, o)
		if ctrlclient.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete %s/%s: %w", o.GetNamespace(), o.GetName(), err)
		}
		found = found || err == nil
	}
	if !found {
		return &NoTokenError{ID: id}
	}
	return nil
}

// ListTokens returns the tokens that have a scope, sorted by id. No secret is read: of each Secret only
// whether it is there.
func (i *Installer) ListTokens(ctx context.Context, now time.Time) ([]TokenInfo, error) {
	var scopes corev1.ConfigMapList
	if err := i.client.List(ctx, &scopes, ctrlclient.InNamespace(v1alpha1.Namespace), ctrlclient.MatchingLabels{v1alpha1.JoinTokenLabel: "true"}); err != nil {
		return nil, fmt.Errorf("list tokens: %w", err)
	}
	var tokens []TokenInfo
	for n := range scopes.Items {
		if !v1alpha1.IsJoinScope(&scopes.Items[n]) {
			continue
		}
		t, err := i.tokenInfo(ctx, &scopes.Items[n], now)
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, t)
	}
	slices.SortFunc(tokens, func(a, b TokenInfo) int { return strings.Compare(a.ID, b.ID) })
	return tokens, nil
}

func (i *Installer) tokenInfo(ctx context.Context, stored *corev1.ConfigMap, now time.Time) (TokenInfo, error) {
	t := TokenInfo{ID: strings.TrimPrefix(stored.Name, v1alpha1.JoinNamePrefix)}
	if t.Scope, t.Problem = readScope(stored, now); t.Problem != "" {
		return t, nil
	}
	var secret metav1.PartialObjectMetadata
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	err := i.client.Get(ctx, ctrlclient.ObjectKeyFromObject(tokenObject(t.ID)), &secret)
	switch {
	case apierrors.IsNotFound(err):
		t.Problem = "its Secret is gone"
	case err != nil:
		return TokenInfo{}, fmt.Errorf("look for the Secret of token %s: %w", t.ID, err)
	}
	return t, nil
}

func readScope(stored *corev1.ConfigMap, now time.Time) (scope approve.Scope, problem string) {
	scope, err := approve.ReadScope(stored.Data)
	switch {
	case err != nil:
		problem = err.Error()
	case !now.Before(scope.Expires):
		problem = "expired"
	}
	return scope, problem
}

// Discover reads what a node must know to join, as a node does.
func (i *Installer) Discover(ctx context.Context) (Cluster, error) {
	const what = "ConfigMap " + ClusterInfoNamespace + "/" + ClusterInfoName
	var info corev1.ConfigMap
	if err := i.client.Get(ctx, ctrlclient.ObjectKey{Namespace: ClusterInfoNamespace, Name: ClusterInfoName}, &info); err != nil {
		return Cluster{}, fmt.Errorf("%s, which tells nodes about the cluster: %w", what, err)
	}
	kubeconfig, err := clientcmd.Load([]byte(info.Data[ClusterInfoKey]))
	if err != nil {
		return Cluster{}, fmt.Errorf("%s: data.%s: %w", what, ClusterInfoKey, err)
	}
	for _, c := range kubeconfig.Clusters {
		if len(kubeconfig.Clusters) == 1 && c.Server != "" && len(c.CertificateAuthorityData) > 0 {
			return Cluster{Server: c.Server, AuthorityPEM: c.CertificateAuthorityData}, nil
		}
	}
	return Cluster{}, fmt.Errorf("%s: data.%s does not name one cluster with a server and its authority: restart the seed, which writes it", what, ClusterInfoKey)
}

func scopeObject(id string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: v1alpha1.JoinName(id), Namespace: v1alpha1.Namespace, Labels: map[string]string{v1alpha1.JoinTokenLabel: "true"},
	}}
}

func tokenObject(id string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: bootstrapapi.BootstrapTokenSecretPrefix + id, Namespace: metav1.NamespaceSystem}}
}
