// Package install puts into a cluster what Seedbed needs to be there: the namespace seedbed-system, the
// kinds, the roles, and the cluster's authority as a Secret; and it registers nodes, and keeps the
// tokens by which they join.
//
// In: a client configuration. Out: objects, by server-side apply under the field owner "seedbed-seed",
// so that doing it again changes nothing and puts right what somebody changed. Nothing is deleted but
// the tokens that the caller names, and nothing of a user's is touched.
package install
