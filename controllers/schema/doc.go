// Package schema validates objects and files without a cluster, by the CRDs' own schemas and CEL
// rules and with the API server's own code, so that the CLI and the agent say word for word what
// kubectl apply would have said.
//
// What comes in are objects, or YAML and JSON as a user wrote it. What goes out are typed objects,
// or errors that name file, line, field, what is wrong and the cure. No default is filled in, no
// other object is looked at and no value of a Secret is ever part of an error.
package schema
