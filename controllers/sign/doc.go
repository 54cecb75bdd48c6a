// Package sign issues the certificates of approved requests, for a seed that has no
// kube-controller-manager to do so.
//
// In: the files of an authority, a checked request, its usages, how long it asks to be valid and the
// time. Out: a certificate. Whether a request may be signed is decided elsewhere (approve), and no
// request is read from or written to the API here.
package sign
