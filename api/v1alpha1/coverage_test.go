package v1alpha1_test

import (
	"regexp"
	"slices"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"seedbed.dev/seedbed/config/crd"
)

// transition rules have a table of their own.
var transition = regexp.MustCompile(`\boldSelf\b`)

// literal is a string in a CEL expression.
var literal = regexp.MustCompile(`'((?:[^'\\]|\\.)*)'`)

var _ = Describe("The tables of invalid objects", func() {
	It("violate every rule of the CRDs", func() {
		var told strings.Builder
		for base, cases := range map[string][]invalid{
			networkConfig: invalidNetworks, nodeState: invalidStates,
			nodeConfig: slices.Concat(invalidNodes, invalidComponents, invalidHostThings, invalidInstalls),
		} {
			for _, c := range cases {
				told.WriteString(strings.Join(sorted(offline.Validate(patched(base, c.patch))), "\n"))
			}
		}
		definitions, err := crd.All()
		Expect(err).NotTo(HaveOccurred())
		rules, missed := 0, []string{}
		for _, definition := range definitions {
			everyRule(definition.Spec.Versions[0].Schema.OpenAPIV3Schema, func(rule apiextensionsv1.ValidationRule) {
				if transition.MatchString(rule.Rule) {
					return
				}
				rules++
				if !strings.Contains(told.String(), fixedText(rule)) {
					missed = append(missed, rule.Rule)
				}
			})
		}
		Expect(missed).To(BeEmpty(), "no case violates these rules")
		Expect(rules).To(BeNumerically(">", 60))
	})
})

// fixedText is the longest part of a rule's message that does not depend on the object.
func fixedText(rule apiextensionsv1.ValidationRule) string {
	if rule.MessageExpression == "" {
		return rule.Message
	}
	longest := ""
	for _, match := range literal.FindAllStringSubmatch(rule.MessageExpression, -1) {
		isPattern := strings.HasPrefix(match[1], "^")
		if len(match[1]) > len(longest) && !isPattern {
			longest = match[1]
		}
	}
	return longest
}

func everyRule(s *apiextensionsv1.JSONSchemaProps, visit func(apiextensionsv1.ValidationRule)) {
	for _, rule := range s.XValidations {
		visit(rule)
	}
	for name := range s.Properties {
		property := s.Properties[name]
		everyRule(&property, visit)
	}
	if s.Items != nil && s.Items.Schema != nil {
		everyRule(s.Items.Schema, visit)
	}
	if s.AdditionalProperties != nil && s.AdditionalProperties.Schema != nil {
		everyRule(s.AdditionalProperties.Schema, visit)
	}
}
