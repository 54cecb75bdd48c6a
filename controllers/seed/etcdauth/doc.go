// Package etcdauth lets each client of an etcd into the keys that are its own, and no others.
//
// In: a connection to an etcd, with authentication off or as a user of the role root, and who may do
// what. Out: users, roles and permissions in it, and authentication on. Users are known by the common
// name of their client certificate, and have no password. Doing it again changes nothing; roles of
// ours are put right, users and roles of others are left alone. Nothing is read or written but
// etcd's own users and roles.
package etcdauth
