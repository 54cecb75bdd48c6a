// Package resolvetest has nodes to test with: the install guide's, the smallest one, and one that
// uses every field, on a host whose components came as packages.
//
// In: the name of a case. Out: a resolve.Input with everything it refers to, the same each time:
// keys and certificates come from fixed seeds. Never here: anything a program would use.
package resolvetest
