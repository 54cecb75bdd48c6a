// Package common stands in for the Tencent Cloud SDK, which Go's module proxy does not serve at
// the version that flannel wants. Only what flannel's tencent-vpc backend calls is here.
package common

// StringPtr returns a pointer to a copy of s.
func StringPtr(s string) *string { return &s }

// StringPtrs returns pointers to copies of the strings.
func StringPtrs(values []string) []*string {
	pointers := make([]*string, 0, len(values))
	for _, v := range values {
		pointers = append(pointers, &v)
	}
	return pointers
}

// BoolPtr returns a pointer to a copy of b.
func BoolPtr(b bool) *bool { return &b }
