{{- /* The kinds first, then what they are made of, by name. */ -}}
{{- define "gvList" -}}
# API reference

Generated from `api/` by `make generate`. `kubectl explain` shows the same texts.
{{ range . }}{{ $gv := . }}
## {{ $gv.GroupVersionString }}

{{ $gv.Doc }}
{{ range $gv.SortedKinds }}{{ template "type" $gv.TypeForKind . }}{{ end }}
{{- range $gv.SortedTypes }}{{ if not .GVK }}{{ template "type" . }}{{ end }}{{ end }}
{{- end }}
{{- end -}}

{{- define "type" -}}
{{- if markdownShouldRenderType . }}
### {{ .Name }}

{{ .Doc }}
{{ if .IsAlias }}
A {{ markdownRenderTypeLink .UnderlyingType }}{{ template "rules" .Validation }}.
{{ end }}
{{- if .References }}
In:{{ range $i, $type := .SortedReferences }}{{ if $i }},{{ end }} {{ markdownRenderTypeLink $type }}{{ end }}.
{{ end }}
{{- if .Members }}
| field | type | |
|---|---|---|
{{- if .GVK }}
| `apiVersion` | string | `{{ .GVK.Group }}/{{ .GVK.Version }}` |
| `kind` | string | `{{ .GVK.Kind }}` |
{{- end }}
{{- range .Members }}
| `{{ .Name }}` | {{ markdownRenderType .Type }}{{ template "required" .Validation }} | {{ if eq .Name "metadata" }}As in every object of Kubernetes.{{ else }}{{ markdownRenderFieldDoc .Doc | trimSuffix "<br />" }}{{ end }}{{ template "rules" .Validation }} |
{{- end }}
{{ end }}
{{- if .EnumValues }}
| value | |
|---|---|
{{- range .EnumValues }}
| `{{ .Name }}` | {{ markdownRenderFieldDoc .Doc | trimSuffix "<br />" }} |
{{- end }}
{{ end }}
{{- end }}
{{- end -}}

{{- define "required" -}}
{{- range . }}{{ if hasPrefix "Required" . }}, required{{ end }}{{ end -}}
{{- end -}}

{{- define "rules" -}}
{{- $rules := list -}}
{{- range . }}{{ if not (or (hasPrefix "Required" .) (hasPrefix "Optional" .)) }}{{ $rules = append $rules . }}{{ end }}{{ end -}}
{{- if $rules }} ({{ range $i, $rule := $rules }}{{ if $i }}; {{ end }}{{ markdownRenderFieldDoc $rule | trim }}{{ end }}){{ end -}}
{{- end -}}
