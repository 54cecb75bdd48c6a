package seed

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	bootstraputil "k8s.io/cluster-bootstrap/token/util"

	"seedbed.dev/seedbed/controllers/approve"
	"seedbed.dev/seedbed/controllers/seed/install"
)

// How long tokens may be valid. A token is a password on command lines: it had better be short-lived.
const (
	DefaultTokenTTL  = 24 * time.Hour
	shortestTokenTTL = time.Minute
	longestTokenTTL  = 365 * 24 * time.Hour
)

// Access says which cluster, and as who.
type Access struct {
	// Kubeconfig of an administrator; empty: the one in DataDir.
	Kubeconfig string
	// DataDir is a running seed's.
	DataDir string
}

// TokenOptions say what a token is for, as given on a command line.
type TokenOptions struct {
	Access
	// Labels of the NodeStates to be, as "key=value".
	Labels []string
	// Nodes are the names that nodes may join by; none means any.
	Nodes []string
	// Addresses and ranges that the kubelets' serving certificates may name.
	Addresses []string
	// TTL is how long the token is valid.
	TTL time.Duration
}

// TokenResult is a token that was made.
type TokenResult struct {
	ID    string
	Scope approve.Scope
	// Join is the command line that joins a node. It holds the token.
	Join string
	// Loopback is true when the server's address is one that no other machine can reach.
	Loopback bool
}

// CreateToken makes a token by which nodes may join, and the command line that uses it.
func CreateToken(ctx context.Context, o TokenOptions, now time.Time) (TokenResult, error) {
	scope, err := o.scope(now)
	if err != nil {
		return TokenResult{}, err
	}
	var result TokenResult
	err = o.use(func(i *install.Installer) error {
		// Before anything is made: a token that no node can use is none.
		cluster, err := i.Discover(ctx)
		if err != nil {
			return err
		}
		text, err := bootstraputil.GenerateBootstrapToken()
		if err != nil {
			return fmt.Errorf("generate token: %w", err)
		}
		id, secret, _ := strings.Cut(text, ".")
		if result, err = describe(cluster, install.Token{ID: id, Secret: secret, Scope: scope}); err != nil {
			return err
		}
		return i.CreateToken(ctx, install.Token{ID: id, Secret: secret, Scope: scope})
	})
	return result, err
}

// ListTokens returns the tokens of `seedbed seed token create`, without their secrets.
func ListTokens(ctx context.Context, a Access, now time.Time) ([]install.TokenInfo, error) {
	var tokens []install.TokenInfo
	err := a.use(func(i *install.Installer) (err error) {
		tokens, err = i.ListTokens(ctx, now)
		return err
	})
	return tokens, err
}

var tokenPattern = regexp.MustCompile(`^([a-z0-9]{6})(\.[a-z0-9]{16})?$`)

// DeleteTokens deletes tokens, named by their ids or in whole, and returns the ids of those deleted. It
// goes on after one that is not there.
func DeleteTokens(ctx context.Context, a Access, names []string) (deleted []string, err error) {
	var ids []string
	for _, name := range names {
		m := tokenPattern.FindStringSubmatch(name)
		if m == nil {
			// What was meant as a token is not repeated.
			return nil, problemf("give the six letters and digits before the dot, as `seedbed seed token list` shows them", "token: not a token's id")
		}
		ids = append(ids, m[1])
	}
	err = a.use(func(i *install.Installer) error {
		var errs []error
		for _, id := range ids {
			if err := i.DeleteToken(ctx, id); err != nil {
				errs = append(errs, err)
				continue
			}
			deleted = append(deleted, id)
		}
		return errors.Join(errs...)
	})
	return deleted, err
}

func (o TokenOptions) scope(now time.Time) (approve.Scope, error) {
	labels, err := parseLabels(o.Labels)
	if err != nil {
		return approve.Scope{}, err
	}
	if o.TTL < shortestTokenTTL || o.TTL > longestTokenTTL {
		return approve.Scope{}, problemf("give one from 1m to 8760h, such as 24h", "--ttl %s: too short or too long", o.TTL)
	}
	s := approve.Scope{Labels: labels, Nodes: o.Nodes, Addresses: o.Addresses, Expires: now.Add(o.TTL).Truncate(time.Second)}
	if err := s.Validate(); err != nil {
		return approve.Scope{}, fmt.Errorf("--%w", err)
	}
	return s, nil
}

func describe(cluster install.Cluster, t install.Token) (TokenResult, error) {
	hashes, err := caHashes(cluster.AuthorityPEM)
	if err != nil {
		return TokenResult{}, fmt.Errorf("ConfigMap %s/%s: %w", install.ClusterInfoNamespace, install.ClusterInfoName, err)
	}
	const pin = " --ca-cert-hash "
	line := fmt.Sprintf("seedbed join %s --token %s.%s", cluster.Server, t.ID, t.Secret)
	r := TokenResult{ID: t.ID, Scope: t.Scope, Join: line + pin + strings.Join(hashes, pin)}
	if u, err := url.Parse(cluster.Server); err == nil {
		r.Loopback = isLoopback(u.Hostname())
	}
	return r, nil
}

// caHashes are the pins of authorities in the form that kubeadm made customary: the hash of the public
// key, so that a certificate made again from the same key keeps it.
func caHashes(content []byte) ([]string, error) {
	var hashes []string
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("authority: %w", err)
		}
		sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
		hashes = append(hashes, "sha256:"+hex.EncodeToString(sum[:]))
	}
	if len(hashes) == 0 {
		return nil, errors.New("authority: no certificate")
	}
	return hashes, nil
}

// use connects, and explains an API server that does not answer.
func (a Access) use(do func(*install.Installer) error) error {
	config, err := a.config()
	if err != nil {
		return err
	}
	installer, err := install.New(config)
	if err != nil {
		return err
	}
	err = do(installer)
	if urlErr, ok := errors.AsType[*url.Error](err); ok {
		return &Problem{
			What: fmt.Sprintf("no answer from %s: %v", config.Host, urlErr.Err),
			Cure: "is the seed running? Start it with `seedbed seed`, or give another one's --kubeconfig", Err: err,
		}
	}
	return err
}

func (a Access) config() (*rest.Config, error) {
	path := a.Kubeconfig
	if path == "" {
		root, err := filepath.Abs(a.DataDir)
		if err != nil {
			return nil, fmt.Errorf("data dir %s: %w", a.DataDir, err)
		}
		l := Layout{Root: root}
		if _, err := l.access(); err != nil {
			return nil, explain(root, err)
		}
		path = l.Kubeconfig(adminName)
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, &Problem{What: fmt.Sprintf("kubeconfig %s: %v", path, err), Cure: "give an administrator's with --kubeconfig, or the seed's folder with --data-dir", Err: err}
	}
	return config, nil
}
