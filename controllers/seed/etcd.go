package seed

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"seedbed.dev/seedbed/controllers/seed/etcdauth"
	"seedbed.dev/seedbed/controllers/seed/install"
)

// etcdTimeout is for all that is asked of etcd at a start, on a slow disk too.
const etcdTimeout = time.Minute

// guardEtcd lets each client of etcd into what is its own. A data dir of a seed that did not do so
// yet is guarded at its next start.
func (s *seed) guardEtcd(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, etcdTimeout)
	defer cancel()
	c, err := s.etcdClient(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close() }()
	roles, users := etcdAccess(s.settings)
	changes, err := etcdauth.Ensure(ctx, c, roles, users)
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		s.say.stepf("etcd lets in kube-apiserver, and flannel below its prefixes: %s", strings.Join(changes, ", "))
	}
	return nil
}

// etcdClient connects as kube-apiserver, which has the role root.
func (s *seed) etcdClient(ctx context.Context) (*clientv3.Client, error) {
	store := s.PKI()
	tlsConfig, err := transport.TLSInfo{
		TrustedCAFile: store.CertFile(etcdAuthority), CertFile: store.CertFile(etcdClientPair), KeyFile: store.KeyFile(etcdClientPair),
	}.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("etcd client certificate: %w", err)
	}
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{localURL(s.ports.Etcd, "")}, TLS: tlsConfig, Context: ctx, Logger: zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("connect to etcd: %w", err)
	}
	return c, nil
}

// shareFlannelCertificate puts flannel's certificate where NetworkConfigs can refer to it.
func (s *seed) shareFlannelCertificate(ctx context.Context, installer *install.Installer, report func(string)) error {
	store := s.PKI()
	var content [3][]byte
	for i, path := range []string{store.CertFile(etcdAuthority), store.CertFile(flannelPair), store.KeyFile(flannelPair)} {
		var err error
		if content[i], err = os.ReadFile(path); err != nil {
			return err
		}
	}
	return installer.FlannelEtcd(ctx, content[0], content[1], content[2], report)
}
