package etcdauth

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/etcd/api/v3/authpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// Root is etcd's own name of the user that must exist before authentication can be turned on, and of
// the role that may do anything.
const Root = "root"

// User is a client, by the common name of its certificate.
type User struct {
	Name string
	// Role that it has, and no other.
	Role string
}

// Role is what its users may read and write: all keys below a prefix. Example: "/coreos.com/network".
// The role named Root needs no prefixes.
type Role struct {
	Name     string
	Prefixes []string
}

// Ensure makes the roles and users as given, and turns authentication on. It returns what it
// changed, in words; nothing when it was all there.
func Ensure(ctx context.Context, c clientv3.Auth, roles []Role, users []User) (changes []string, err error) {
	e := ensurer{auth: c}
	for _, r := range roles {
		if err := e.role(ctx, r); err != nil {
			return nil, fmt.Errorf("etcd role %s: %w", r.Name, err)
		}
	}
	for _, u := range append([]User{{Root, Root}}, users...) {
		if err := e.user(ctx, u); err != nil {
			return nil, fmt.Errorf("etcd user %s: %w", u.Name, err)
		}
	}
	if err := e.enable(ctx); err != nil {
		return nil, fmt.Errorf("etcd authentication: %w", err)
	}
	return e.changes, nil
}

type ensurer struct {
	auth    clientv3.Auth
	changes []string
}

func (e *ensurer) changed(format string, args ...any) {
	e.changes = append(e.changes, fmt.Sprintf(format, args...))
}

// keyRange is the range of a permission, as etcd has it: from the key to before the end.
type keyRange struct{ key, end string }

// below is every key below a prefix, and not the prefix of another with the same beginning.
func below(prefix string) keyRange {
	return keyRange{prefix + "/", clientv3.GetPrefixRangeEnd(prefix + "/")}
}

func (e *ensurer) role(ctx context.Context, r Role) error {
	have, err := e.auth.RoleGet(ctx, r.Name)
	if errors.Is(err, rpctypes.ErrRoleNotFound) {
		if _, err = e.auth.RoleAdd(ctx, r.Name); err == nil {
			e.changed("role %s", r.Name)
		}
		have = &clientv3.AuthRoleGetResponse{}
	}
	if err != nil {
		return err
	}
	want := map[keyRange]string{}
	for _, p := range r.Prefixes {
		want[below(p)] = p
	}
	for _, p := range have.Perm {
		held := keyRange{string(p.Key), string(p.RangeEnd)}
		if _, ok := want[held]; ok && p.PermType == authpb.READWRITE {
			delete(want, held)
			continue
		}
		if _, err := e.auth.RoleRevokePermission(ctx, r.Name, held.key, held.end); err != nil {
			return fmt.Errorf("revoke %s: %w", held.key, err)
		}
		e.changed("role %s is no longer let into %s", r.Name, held.key)
	}
	for _, p := range r.Prefixes { // in the order given
		held := below(p)
		if _, missing := want[held]; !missing {
			continue
		}
		if _, err := e.auth.RoleGrantPermission(ctx, r.Name, held.key, held.end, clientv3.PermissionType(clientv3.PermReadWrite)); err != nil {
			return fmt.Errorf("grant %s: %w", held.key, err)
		}
		e.changed("role %s is let into %s", r.Name, held.key)
	}
	return nil
}

func (e *ensurer) user(ctx context.Context, u User) error {
	have, err := e.auth.UserGet(ctx, u.Name)
	if errors.Is(err, rpctypes.ErrUserNotFound) {
		if _, err = e.auth.UserAddWithOptions(ctx, u.Name, "", &clientv3.UserAddOptions{NoPassword: true}); err == nil {
			e.changed("user %s", u.Name)
		}
		have = &clientv3.AuthUserGetResponse{}
	}
	if err != nil {
		return err
	}
	for _, role := range have.Roles {
		if role == u.Role {
			continue
		}
		if _, err := e.auth.UserRevokeRole(ctx, u.Name, role); err != nil {
			return fmt.Errorf("take role %s: %w", role, err)
		}
		e.changed("user %s no longer has role %s", u.Name, role)
	}
	if slices.Contains(have.Roles, u.Role) {
		return nil
	}
	if _, err := e.auth.UserGrantRole(ctx, u.Name, u.Role); err != nil {
		return fmt.Errorf("give role %s: %w", u.Role, err)
	}
	return nil
}

func (e *ensurer) enable(ctx context.Context) error {
	status, err := e.auth.AuthStatus(ctx)
	if err != nil || status.Enabled {
		return err
	}
	if _, err := e.auth.AuthEnable(ctx); err != nil {
		return err
	}
	e.changed("authentication is on")
	return nil
}
