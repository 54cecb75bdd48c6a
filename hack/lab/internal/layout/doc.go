// Package layout says what everything in a lab is called and where it is: hosts and their addresses,
// folders, cgroups. Whoever starts a lab and the supervisor that holds it agree on it here.
//
// In: the lab's name and the repository's root. Out: names and paths. It never touches the machine.
package layout
