package state

// ProbeKind is a way to ask a program how it is.
type ProbeKind string

const (
	// ProbeHTTP gets Path and wants status 200.
	ProbeHTTP ProbeKind = "HTTP"
	// ProbeCRI asks a container runtime for its version and status, and wants it and its network to
	// be ready.
	ProbeCRI ProbeKind = "CRI"
	// ProbeCertificate reads the certificate in the file Path and answers with the name it is for. With
	// an Address, to be served at, it must be for that too and not have expired.
	ProbeCertificate ProbeKind = "Certificate"
)

// Probe is a question to a program of the host, and in an observed host the answer.
type Probe struct {
	Kind ProbeKind
	// Address is HOST:PORT, or unix:///PATH; of a certificate, an IP address.
	Address string
	// Path of a URL or a file.
	Path string
	// Want is desired only: the one good answer; empty for any.
	Want string
	// Cure is desired only: what to do about a certificate that is not there; empty where that is no
	// fault.
	Cure string
	// Answer is observed only: what was answered, on one line.
	Answer string
	// Failure is observed only: why there is no good answer; empty when there is one.
	Failure string
	// Component that the answer is about; desired only.
	Component Component
}
