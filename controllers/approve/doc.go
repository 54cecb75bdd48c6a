// Package approve decides which certificate signing requests are approved: who may have a certificate
// that says it is a node's agent, kube-proxy, flannel or kubelet.
//
// In: a Request as the API server has it, the scope of the bootstrap token that made it, the node that
// it is about, addresses that others have, and the time. Out: a Decision with a reason and a message
// that says what to do. Nothing is read, written or signed here, and a request that is not about one of
// Seedbed's nodes is never decided: other approvers may know it.
package approve
