// Package pki makes and keeps the certificates of a seed control plane.
//
// In: what a certificate is to say, the time, a folder. Out: authorities and pairs of certificate
// and key (ECDSA P-256), kept as PEM files of mode 0600 in folders of mode 0700. What is there and
// still fits is kept; what is about to expire or says something else is issued again. An authority is
// never replaced by itself: everything it signed would be worthless. No key is ever printed.
package pki
