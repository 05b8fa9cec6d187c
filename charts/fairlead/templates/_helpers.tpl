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

{{/* The processes of this release, each with an identity and values of its own: names for `fairlead run`, as JSON. */}}
{{- define "fairlead.processes" -}}
{{- $processes := include "fairlead.reconcilers" . | fromJsonArray -}}
{{- ternary (append $processes "activator") $processes .Values.activator.enabled | toJson -}}
{{- end }}

{{/* Those of them that write, one replica at a time: by a Lease. */}}
{{- define "fairlead.reconcilers" -}}
{{- ternary (list "workloads" "secrets") (list "workloads") .Values.secrets.enabled | toJson -}}
{{- end }}

{{/* Of one process: (list $ "workloads"). */}}
{{- define "fairlead.process.name" -}}
{{ include "fairlead.fullname" (index . 0) }}-{{ index . 1 }}
{{- end }}

{{- define "fairlead.process.serviceAccount" -}}
{{- $account := (index (index . 0).Values (index . 1)).serviceAccount -}}
{{- if $account.create }}{{ default (include "fairlead.process.name" .) $account.name }}{{ else }}{{ default "default" $account.name }}{{ end -}}
{{- end }}

{{/* The user name under which the API server knows the identity. */}}
{{- define "fairlead.process.user" -}}
system:serviceaccount:{{ (index . 0).Release.Namespace }}:{{ include "fairlead.process.serviceAccount" . }}
{{- end }}

{{/* The same, as a FlowSchema names it. */}}
{{- define "fairlead.flowSubject" -}}
{{ dict "kind" "ServiceAccount" "serviceAccount" (dict "namespace" (index . 0).Release.Namespace "name" (include "fairlead.process.serviceAccount" .)) | toJson }}
{{- end }}

{{/* The namespaces a process works in, as JSON; none for all. */}}
{{- define "fairlead.process.namespaces" -}}
{{- $ := index . 0 -}}
{{- $own := ternary $.Values.secrets.namespaces list (eq (index . 1) "secrets") -}}
{{- default $.Values.namespaces $own | toJson -}}
{{- end }}

{{/* A duration such as 30d or 12h, in seconds. */}}
{{- define "fairlead.seconds" -}}
{{- $units := dict "s" 1 "m" 60 "h" 3600 "d" 86400 -}}
{{- $text := toString . -}}
{{- $unit := regexFind "[smhd]$" $text -}}
{{ mul (trimSuffix $unit $text | int64) (default 1 (get $units $unit)) }}
{{- end }}

{{- define "fairlead.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ default $.Chart.AppVersion .tag }}{{ end }}
{{- end -}}
{{- end }}

{{/* Of one process: (list $ "workloads"). */}}
{{- define "fairlead.selector" -}}
{{- $ := index . 0 -}}
app.kubernetes.io/name: {{ default $.Chart.Name $.Values.nameOverride }}
app.kubernetes.io/instance: {{ $.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
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

{{/* The restricted Pod Security Standard, for a pod and for its container. Not a value: it is a promise. Call the first one with
     (list $ "workloads"). */}}
{{- define "fairlead.podSecurity" -}}
runAsNonRoot: true
{{- with (index (index . 0).Values (index . 1)).runAsUser }}
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
