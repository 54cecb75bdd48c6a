// Package control is how the lab's supervisor is asked for things: one JSON request and one JSON answer
// per connection on a unix socket.
//
// In: a request. Out: the answer. It never acts itself.
package control
