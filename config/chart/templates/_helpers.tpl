{{/* Seedbed's objects are cluster-scoped, so there is one manager to a cluster and its names are fixed. */}}
{{- define "seedbed.name" -}}seedbed-manager{{- end }}

{{- define "seedbed.selector" -}}
app.kubernetes.io/name: seedbed
app.kubernetes.io/component: manager
{{- end }}

{{- define "seedbed.labels" -}}
{{ include "seedbed.selector" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* The API keeps revisions, leases and Secrets in one namespace, whose name is part of it. */}}
{{- define "seedbed.namespace" -}}
{{- if ne .Release.Namespace "seedbed-system" -}}
{{- fail (printf "namespace %q: Seedbed works in the namespace seedbed-system only; give helm: --namespace seedbed-system --create-namespace" .Release.Namespace) -}}
{{- end -}}
seedbed-system
{{- end }}

{{- define "seedbed.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- with .Values.image.digest }}@{{ . }}{{ end }}
{{- end }}
