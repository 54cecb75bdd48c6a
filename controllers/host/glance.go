package host

import (
	"context"
	"maps"

	"seedbed.dev/seedbed/controllers/state"
)

// Glance is what is seen of a host's sysctls and chains.
type Glance struct {
	sysctls map[string]string
	chains  map[string]state.Chain
}

// Equal says that two looks saw the same.
func (g Glance) Equal(other Glance) bool {
	return maps.Equal(g.sysctls, other.sysctls) && maps.Equal(g.chains, other.chains)
}

// GlanceAt is what Look would have seen of the desired resources when the host was observed.
func GlanceAt(desired, observed state.Host) Glance {
	g := Glance{sysctls: map[string]string{}, chains: map[string]state.Chain{}}
	for name := range desired.Sysctls {
		if value, there := observed.Sysctls[name]; there {
			g.sysctls[name] = value
		}
	}
	for name := range desired.Chains {
		if chain, there := observed.Chains[name]; there {
			g.chains[name] = chain
		}
	}
	return g
}

// Look reads those of the desired resources that send no events when somebody changes them and are
// cheap to read: sysctls and chains. One that cannot be read is as one that is not there; whoever
// finds a difference observes the host to learn more.
func Look(ctx context.Context, h Host, desired state.Host) Glance {
	seen := state.New()
	for name := range desired.Sysctls {
		_ = look(ctx, h, state.Ref{Kind: state.KindSysctl, Name: name}, nil, seen)
	}
	for name := range desired.Chains {
		_ = look(ctx, h, state.Ref{Kind: state.KindChain, Name: name}, nil, seen)
	}
	return Glance{sysctls: seen.Sysctls, chains: seen.Chains}
}
