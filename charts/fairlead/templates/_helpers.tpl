{{/* The release's own name, at most 52 characters, so that every suffix fits into 63. */}}
{{- define "fairlead.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- default $full .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- end }}

{{/* Cluster-scoped names carry the namespace in namespaced mode, where several releases live in one cluster. */}}
{{- define "fairlead.clusterName" -}}
{{- $full := include "fairlead.fullname" . -}}
{{- if .Values.namespaces }}{{ printf "%s-%s" .Release.Namespace $full | trunc 110 }}{{ else }}{{ $full }}{{ end -}}
{{- end }}

{{- define "fairlead.workloads.name" -}}
{{ include "fairlead.fullname" . }}-workloads
{{- end }}

{{- define "fairlead.workloads.serviceAccount" -}}
{{- $account := .Values.workloads.serviceAccount -}}
{{- if $account.create }}{{ default (include "fairlead.workloads.name" .) $account.name }}{{ else }}{{ default "default" $account.name }}{{ end -}}
{{- end }}

{{/* The user name under which the API server knows the workloads identity. */}}
{{- define "fairlead.workloads.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "fairlead.workloads.serviceAccount" . }}
{{- end }}

{{- define "fairlead.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end -}}
{{- end }}

{{- define "fairlead.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: workloads
{{- end }}

{{/* metadata of every object: call it with (list $ name) or (list $ name "component"). */}}
{{- define "fairlead.metadata" -}}
{{- $ := index . 0 -}}
name: {{ index . 1 }}
labels:
  {{- include "fairlead.labels" (list $ (index (append . "") 2)) | nindent 2 }}
{{- with $.Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* (list $ "component"), without a component where it is empty. A person's labels win, but not over what selects. */}}
{{- define "fairlead.labels" -}}
{{- $ := index . 0 -}}
{{- $ours := dict "app.kubernetes.io/part-of" "fairlead" -}}
{{- $fixed := dict
  "helm.sh/chart" (printf "%s-%s" $.Chart.Name $.Chart.Version | replace "+" "_")
  "app.kubernetes.io/name" (default $.Chart.Name $.Values.nameOverride)
  "app.kubernetes.io/instance" $.Release.Name
  "app.kubernetes.io/version" $.Chart.AppVersion
  "app.kubernetes.io/managed-by" $.Release.Service -}}
{{- with index . 1 }}{{ $_ := set $fixed "app.kubernetes.io/component" . }}{{ end -}}
{{- mergeOverwrite $ours $.Values.labels $fixed | toYaml -}}
{{- end }}

{{/* A setting that may be `auto`: "true" or nothing. Call it with (list setting automatic). */}}
{{- define "fairlead.on" -}}
{{- $setting := index . 0 -}}
{{- if eq (toString $setting) "auto" }}{{ if index . 1 }}true{{ end }}{{ else if $setting }}true{{ end -}}
{{- end }}

{{/* The restricted Pod Security Standard, for a pod and for its container. Not a value: it is a promise. */}}
{{- define "fairlead.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.workloads.runAsUser }}
runAsUser: {{ . | int64 }}
runAsGroup: {{ . | int64 }}
{{- end }}
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "fairlead.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
