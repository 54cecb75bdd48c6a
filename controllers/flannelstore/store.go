package flannelstore

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"seedbed.dev/seedbed/controllers/leases"
	"seedbed.dev/seedbed/controllers/state"
)

// requestTimeout is for one request, a connection that has to be made first included.
const requestTimeout = 5 * time.Second

// Target is one network in one etcd.
type Target struct {
	// Endpoints are URLs of one cluster's members. Example: "https://10.64.3.7:2379".
	Endpoints []string
	// Prefix of flannel's keys, without a slash at its end. Example: "/coreos.com/network".
	Prefix string
	// TLS is nil for plain http.
	TLS *TLS
}

// ConfigKey is where flannel reads the network's configuration.
func (t Target) ConfigKey() string { return ConfigKey(t.Prefix) }

// ConfigKey is where flannel reads the network's configuration below a prefix.
func ConfigKey(prefix string) string { return prefix + "/config" }

func (t Target) subnets() string { return t.Prefix + "/subnets/" }

// TLS has certificates and a key, as PEM.
type TLS struct{ CA, Cert, Key state.Sensitive }

// ErrDenied means that etcd knows the client and does not let it in there.
var ErrDenied = errors.New("permission denied")

// ErrNoAnswer means that etcd cannot be reached, or does not answer in time.
var ErrNoAnswer = errors.New("no answer")

// ErrChanged means that a key was not as it had been seen, so that nothing was written.
var ErrChanged = errors.New("changed meanwhile")

// Entry is a lease as it is stored.
type Entry struct {
	leases.Lease
	// Key of it.
	Key string
	// Revision of the key's last change.
	Revision int64
}

// View is what an etcd holds of a network.
type View struct {
	// Known is true once the etcd was read.
	Known bool
	// Err is why nothing is known now, or why what is known may have changed since.
	Err error
	// Config is the network's configuration and ConfigRevision of its last change; no configuration
	// has the revision 0.
	Config         string
	ConfigRevision int64
	// Leases by no order.
	Leases []Entry
	// ClusterID of the etcd that was read, in hexadecimal as etcd's log has it.
	ClusterID string
}

// store is a connection.
type store struct {
	target Target
	client *clientv3.Client
}

func connect(ctx context.Context, t Target) (*store, error) {
	config := clientv3.Config{
		Context: ctx, Endpoints: t.Endpoints, Logger: zap.NewNop(),
		DialTimeout: requestTimeout, DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: requestTimeout,
		MaxUnaryRetries: 3,
		DialOptions:     []grpc.DialOption{grpc.WithChainUnaryInterceptor(failFast)},
	}
	if t.TLS != nil {
		pair, err := tls.X509KeyPair(t.TLS.Cert.Reveal(), t.TLS.Key.Reveal())
		if err != nil {
			return nil, errors.New("the client certificate and its key are no pair") // what it cannot parse is not shown
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(t.TLS.CA.Reveal()) {
			return nil, errors.New("the authority has no certificate")
		}
		config.TLS = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, RootCAs: pool}
	}
	client, err := clientv3.New(config)
	if err != nil {
		return nil, classify(err)
	}
	return &store{target: t, client: client}, nil
}

// failFast makes a request fail with what is wrong with the connection. etcd's client would wait for a
// better one, until only the deadline is left to tell.
//
//nolint:revive // its arguments are those of a grpc.UnaryClientInterceptor
func failFast(ctx context.Context, method string, request, reply any, c *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	return invoke(ctx, method, request, reply, c, append(opts, grpc.WaitForReady(false))...)
}

// contents are the keys below the prefix as of a revision of the store.
type contents struct {
	revision int64
	cluster  uint64
	config   *mvccpb.KeyValue
	leases   map[string]Entry
}

func (s *store) read(ctx context.Context) (*contents, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	found, err := s.client.Txn(ctx).Then(
		clientv3.OpGet(s.target.ConfigKey()),
		clientv3.OpGet(s.target.subnets(), clientv3.WithPrefix()),
	).Commit()
	if err != nil {
		return nil, classify(err)
	}
	c := &contents{revision: found.Header.Revision, cluster: found.Header.ClusterId, leases: map[string]Entry{}}
	for _, response := range found.Responses {
		for _, kv := range response.GetResponseRange().Kvs {
			c.put(s.target, kv)
		}
	}
	return c, nil
}

// put takes note of a key. What is no lease there flannel ignores, too.
func (c *contents) put(t Target, kv *mvccpb.KeyValue) {
	key := string(kv.Key)
	if key == t.ConfigKey() {
		c.config = kv
		return
	}
	name, below := strings.CutPrefix(key, t.subnets())
	lease, err := leases.Parse(name, kv.Value)
	if !below || err != nil {
		delete(c.leases, key)
		return
	}
	lease.Reserved = kv.Lease == 0
	c.leases[key] = Entry{Lease: lease, Key: key, Revision: kv.ModRevision}
}

func (c *contents) delete(t Target, key string) {
	if key == t.ConfigKey() {
		c.config = nil
	}
	delete(c.leases, key)
}

func (c *contents) view() View {
	v := View{Known: true, ClusterID: strconv.FormatUint(c.cluster, 16)}
	if c.config != nil {
		v.Config, v.ConfigRevision = string(c.config.Value), c.config.ModRevision
	}
	for _, e := range c.leases {
		v.Leases = append(v.Leases, e)
	}
	return v
}

// publish writes the configuration over the one of the given revision.
func (s *store) publish(ctx context.Context, config string, over int64) error {
	key := s.target.ConfigKey()
	return s.swap(ctx, key, over, clientv3.OpPut(key, config))
}

// release deletes a lease.
func (s *store) release(ctx context.Context, e Entry) error {
	return s.swap(ctx, e.Key, e.Revision, clientv3.OpDelete(e.Key))
}

func (s *store) swap(ctx context.Context, key string, revision int64, op clientv3.Op) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	done, err := s.client.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).Then(op).Commit()
	switch {
	case err != nil:
		return fmt.Errorf("write %s: %w", key, classify(err))
	case !done.Succeeded:
		return fmt.Errorf("write %s: %w", key, ErrChanged)
	}
	return nil
}

// classify tells a refusal from an etcd that does not answer.
func classify(err error) error {
	if errors.Is(err, rpctypes.ErrUserEmpty) || errors.Is(err, rpctypes.ErrPermissionDenied) || status.Code(err) == codes.PermissionDenied {
		return ErrDenied
	}
	message := status.Convert(err).Message()
	if quoted, ok := strings.CutPrefix(message, "connection error: desc = "); ok {
		if cause, err := strconv.Unquote(quoted); err == nil {
			message = strings.TrimPrefix(cause, "transport: ")
		}
	}
	return fmt.Errorf("%w: %s", ErrNoAnswer, message)
}
