package linux

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The tables are dnf 4.14's.
func TestWorksOutReadsWhatComesAndGoes(t *testing.T) {
	for _, tc := range []struct {
		reason, out string
		want        worked
	}{
		{"nothing was worked out", "Error: \n Problem: conflicting requests\n  - nothing provides x needed by needs-1.0-1.noarch\n", worked{}},
		{"nothing is to be done", "Package one-1.0-1.noarch is already installed.\nDependencies resolved.\nNothing to do.\nComplete!\n", worked{known: true}},
		{
			"one takes the place of two, and columns do not fit",
			`Last metadata expiration check: 0:00:29 ago on Mon Nov 23 13:07:21 2026.
Dependencies resolved.
=================================================================
 Package            Arch   Version
                                  Repo
                                         Size
=================================================================
Installing:
 new                noarch 1.0-1  t      5.4 k
     replacing  old.noarch 1.0-1
     replacing  python3.11.noarch 1:3.11-1
Installing dependencies:
 lib                noarch 1.0-1  t      5.4 k

Transaction Summary
=================================================================
Install  2 Packages
`,
			worked{known: true, comes: []string{"new", "lib"}, goes: []string{"old", "python3.11"}},
		},
		{
			"a script, in which others go and one is left out",
			`Upgrading:
 one               noarch             2.0-1                t              5.4 k
Downgrading:
 two               noarch             1.0-1                t              5.4 k
Removing:
 old               noarch             1.0-1                @t               0
Removing dependent packages:
 other             noarch             1.0-1                @t               0
Skipping packages with conflicts:
(add '--best --allowerasing' to command line to force their upgrade):
 new               noarch             1.0-1                t              5.4 k

Transaction Summary
`,
			worked{known: true, comes: []string{"one", "two"}, goes: []string{"old", "other"}},
		},
	} {
		if diff := cmp.Diff(tc.want, worksOut(tc.out), cmp.AllowUnexported(worked{})); diff != "" {
			t.Errorf("%s: -want +got:\n%s", tc.reason, diff)
		}
	}
}
