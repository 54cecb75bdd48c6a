// Package render writes a resolved node down as the host it is to be: files, units, sysctls,
// modules and chains, in the layout of Kubernetes 1.29 and later.
//
// In: a resolve.Node. Out: a state.Host; the same node gives the same bytes. Every value is
// escaped for the format it lands in, so that what a consumer parses is the value and nothing
// else; content of Secrets is only in files marked Secret (certificates are not secret).
//
// Never here: a default, a choice, a look at the host, a clock, I/O. A new component is one file
// with one function Node → state.Host and one line in the list of renderers.
package render
