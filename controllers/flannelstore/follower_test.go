package flannelstore_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"seedbed.dev/seedbed/controllers/flannelstore"
	"seedbed.dev/seedbed/controllers/state"
	"seedbed.dev/seedbed/controllers/testenv"
)

const prefix = "/coreos.com/network"

func start(t *testing.T) *testenv.Etcd {
	t.Helper()
	e, err := testenv.StartEtcd(prefix)
	if errors.Is(err, testenv.ErrNoComponents) && testing.Short() {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Stop(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func target(t *testing.T, e *testenv.Etcd, user string) flannelstore.Target {
	t.Helper()
	ca, cert, key, err := e.Certificate(user)
	if err != nil {
		t.Fatal(err)
	}
	return flannelstore.Target{Endpoints: []string{e.URL}, Prefix: prefix, TLS: &flannelstore.TLS{
		CA: state.NewSensitive(ca), Cert: state.NewSensitive(cert), Key: state.NewSensitive(key),
	}}
}

// follower ends with the test, and every connection with it.
func follower(t *testing.T) (*flannelstore.Follower, <-chan string) {
	t.Helper()
	changed := make(chan string, 1000)
	f := flannelstore.NewFollower(func(network string) { changed <- network })
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return f, changed
}

// eventually waits for changes until the view is as wanted.
func eventually(t *testing.T, f *flannelstore.Follower, changed <-chan string, what string, ok func(flannelstore.View) bool) flannelstore.View {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for {
		if v := f.View("default"); ok(v) {
			return v
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("not seen: %s; the view is %+v", what, f.View("default"))
		}
	}
}

func put(t *testing.T, e *testenv.Etcd, key, value string, opts ...clientv3.OpOption) {
	t.Helper()
	if _, err := e.Root.Put(context.Background(), prefix+key, value, opts...); err != nil {
		t.Fatal(err)
	}
}

func TestAViewFollowsWhatIsThere(t *testing.T) {
	e := start(t)
	f, changed := follower(t)
	ctx := context.Background()
	put(t, e, "/subnets/172.30.1.0-24", `{"PublicIP":"10.64.3.1"}`)
	f.Follow("default", "1", target(t, e, "flannel"))
	v := eventually(t, f, changed, "what was there before", func(v flannelstore.View) bool { return v.Known })
	if v.ConfigRevision != 0 || len(v.Leases) != 1 || !v.Leases[0].Reserved {
		t.Errorf("got %+v", v)
	}
	if err := f.Publish(ctx, "default", `{"Network":"172.30.0.0/16"}`, 0); err != nil {
		t.Fatal(err)
	}
	grant, err := e.Root.Grant(ctx, 3600)
	if err != nil {
		t.Fatal(err)
	}
	put(t, e, "/subnets/172.30.2.0-24", `{"PublicIP":"10.64.3.2"}`, clientv3.WithLease(grant.ID))
	put(t, e, "/subnets/nonsense", `x`)
	v = eventually(t, f, changed, "the configuration and the lease", func(v flannelstore.View) bool { return v.ConfigRevision > 0 && len(v.Leases) == 2 })
	i := slices.IndexFunc(v.Leases, func(e flannelstore.Entry) bool { return e.PublicIP.String() == "10.64.3.2" })
	if i < 0 || v.Leases[i].Reserved || v.Leases[i].Subnet.String() != "172.30.2.0/24" {
		t.Fatalf("got %+v", v.Leases)
	}

	if err := f.Publish(ctx, "default", `{}`, v.ConfigRevision-1); !errors.Is(err, flannelstore.ErrChanged) {
		t.Errorf("a configuration that was changed meanwhile is written over: %v", err)
	}
	renewed := v.Leases[i]
	put(t, e, "/subnets/172.30.2.0-24", `{"PublicIP":"10.64.3.3"}`, clientv3.WithLease(grant.ID))
	if err := f.Release(ctx, "default", renewed); !errors.Is(err, flannelstore.ErrChanged) {
		t.Errorf("a lease that another machine took is released: %v", err)
	}
	v = eventually(t, f, changed, "the new holder", func(v flannelstore.View) bool {
		return slices.ContainsFunc(v.Leases, func(e flannelstore.Entry) bool { return e.PublicIP.String() == "10.64.3.3" })
	})
	i = slices.IndexFunc(v.Leases, func(e flannelstore.Entry) bool { return e.PublicIP.String() == "10.64.3.3" })
	if err := f.Release(ctx, "default", v.Leases[i]); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Root.Delete(ctx, prefix+"/config"); err != nil {
		t.Fatal(err)
	}
	eventually(t, f, changed, "both gone", func(v flannelstore.View) bool { return v.ConfigRevision == 0 && len(v.Leases) == 1 })
	f.Forget("default")
	if v := f.View("default"); v.Known {
		t.Errorf("forgotten, and still seen: %+v", v)
	}
	if err := f.Publish(ctx, "default", "x", 0); !errors.Is(err, flannelstore.ErrNotConnected) {
		t.Errorf("got %v", err)
	}
}

func TestAnEtcdThatIsAwayIsSaidToBeAndFollowedAgainWhenItIsBack(t *testing.T) {
	e := start(t)
	f, changed := follower(t)
	put(t, e, "/config", `{"Network":"172.30.0.0/16"}`)
	f.Follow("default", "1", target(t, e, "flannel"))
	eventually(t, f, changed, "the configuration", func(v flannelstore.View) bool { return v.ConfigRevision > 0 })
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	v := eventually(t, f, changed, "the outage", func(v flannelstore.View) bool { return v.Err != nil })
	if !v.Known || v.Config == "" || !strings.Contains(v.Err.Error(), "connection refused") {
		t.Errorf("what was known is kept, and the error says why: %+v", v)
	}
	if err := e.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, f, changed, "its return", func(v flannelstore.View) bool { return v.Err == nil })
	put(t, e, "/subnets/172.30.1.0-24", `{"PublicIP":"10.64.3.1"}`)
	eventually(t, f, changed, "a change after it", func(v flannelstore.View) bool { return len(v.Leases) == 1 })
}

func TestWhyAnEtcdIsNotReachedIsSaid(t *testing.T) {
	e := start(t)
	good := target(t, e, "flannel")
	other, err := testenv.StartEtcd()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Stop() }()
	stranger := target(t, other, "flannel").TLS
	for _, tc := range []struct {
		reason string
		target flannelstore.Target
		want   string
	}{
		{"nobody listens", flannelstore.Target{Endpoints: []string{"http://127.0.0.1:1"}, Prefix: prefix}, "no answer: Error while dialing: dial tcp 127.0.0.1:1: connect: connection refused"},
		{"another authority", flannelstore.Target{Endpoints: good.Endpoints, Prefix: prefix, TLS: &flannelstore.TLS{CA: stranger.CA, Cert: good.TLS.Cert, Key: good.TLS.Key}}, "certificate signed by unknown authority"},
		{"a certificate of another authority", flannelstore.Target{Endpoints: good.Endpoints, Prefix: prefix, TLS: &flannelstore.TLS{CA: good.TLS.CA, Cert: stranger.Cert, Key: stranger.Key}}, "no answer:"},
		{"no certificate", flannelstore.Target{Endpoints: []string{e.PlainURL}, Prefix: prefix}, "permission denied"},
		{"a prefix of somebody else", flannelstore.Target{Endpoints: good.Endpoints, Prefix: "/kube-centos/network", TLS: good.TLS}, "permission denied"},
		{"a user that etcd does not know", target(t, e, "stranger"), "permission denied"},
		{"a key of another certificate", flannelstore.Target{Endpoints: good.Endpoints, Prefix: prefix, TLS: &flannelstore.TLS{CA: good.TLS.CA, Cert: good.TLS.Cert, Key: stranger.Key}}, "the client certificate and its key are no pair"},
		{"no authority", flannelstore.Target{Endpoints: good.Endpoints, Prefix: prefix, TLS: &flannelstore.TLS{Cert: good.TLS.Cert, Key: good.TLS.Key}}, "the authority has no certificate"},
	} {
		t.Run(tc.reason, func(t *testing.T) {
			f, changed := follower(t)
			f.Follow("default", "1", tc.target)
			v := eventually(t, f, changed, "an error", func(v flannelstore.View) bool { return v.Err != nil })
			if v.Known || !strings.Contains(v.Err.Error(), tc.want) {
				t.Errorf("got %v", v.Err)
			}
			if denied := errors.Is(v.Err, flannelstore.ErrDenied); denied != (tc.want == "permission denied") {
				t.Errorf("%v is a refusal: %t", v.Err, denied)
			}
		})
	}
}

// The error of an outage stays as it was first said: whoever shows it is not woken for every try.
func TestAnOutageIsToldOnce(t *testing.T) {
	f, changed := follower(t)
	f.Follow("default", "1", flannelstore.Target{Endpoints: []string{"http://127.0.0.1:1", "http://127.0.0.1:2"}, Prefix: prefix})
	eventually(t, f, changed, "an error", func(v flannelstore.View) bool { return v.Err != nil })
	select {
	case <-changed:
		t.Errorf("told again: %v", f.View("default").Err)
	case <-time.After(5 * time.Second): // the second try is after a second, the third after two more
	}
}

func TestAnotherTargetIsFollowedInsteadOfTheOneBefore(t *testing.T) {
	e := start(t)
	f, changed := follower(t)
	f.Follow("default", "1", flannelstore.Target{Endpoints: []string{"http://127.0.0.1:1"}, Prefix: prefix})
	f.Follow("default", "2", target(t, e, "flannel"))
	if got := f.Following("default"); got != "2" {
		t.Errorf("following %s", got)
	}
	eventually(t, f, changed, "the other", func(v flannelstore.View) bool { return v.Known && v.Err == nil })
	f.Follow("default", "2", flannelstore.Target{Endpoints: []string{"http://127.0.0.1:1"}, Prefix: prefix})
	if v := f.View("default"); !v.Known {
		t.Error("what was followed already was started anew")
	}
}
