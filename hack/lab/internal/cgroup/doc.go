// Package cgroup makes, enters and removes cgroups, in whatever hierarchies the machine has mounted:
// those of version 1, that of version 2, or both.
//
// In: a cgroup's path. Out: that cgroup in every hierarchy. It never touches a cgroup that it was not
// given, and sets no limits.
package cgroup
