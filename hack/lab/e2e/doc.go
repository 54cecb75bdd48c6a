// Package e2e holds the tests on real hosts: systemd, docker, flannel and Kubernetes as on a machine
// of a user's, booted by package lab.
//
//	make e2e        three hosts, all tests; and two with the Kubernetes subnet manager
//	make e2e-short  two hosts, without what takes long
//
// In: nothing but this checkout. Out: what a user would see. Tests look and ask; what makes a host a node is
// done by Seedbed, never by a test.
package e2e
