{{/* What running Apps takes in a namespace, and no more: no Secrets, no exec, no eviction, no wildcard. */}}
{{- define "fairlead.workloads.rules" -}}
- apiGroups: [fairlead.dev]
  resources: [apps, gates, encryptedsecrets]
  verbs: [get, list, watch]
- apiGroups: [fairlead.dev]
  resources: [apps/status, revisions/status]
  verbs: [patch]
# An owner reference that blocks its owner's deletion takes this right on the owner.
- apiGroups: [fairlead.dev]
  resources: [apps/finalizers]
  verbs: [update]
- apiGroups: [fairlead.dev]
  resources: [revisions]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods, services]
  verbs: [get, list, watch, create, patch, delete]
# The conditions of health gates (spec.health.gates), for which a kubelet waits.
- apiGroups: [""]
  resources: [pods/status]
  verbs: [patch]
# What pods request, where spec.autoscale.resources applies it to those that are there.
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
# Contents that spec.config names are copied when they are released; a copy is never changed.
- apiGroups: [""]
  resources: [configmaps]
  verbs: [get, list, watch, create, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, patch, delete]
{{- if .Values.rbac.httpRoutes }}
- apiGroups: [gateway.networking.k8s.io]
  resources: [httproutes]
  verbs: [get, list, watch, create, patch, delete]
{{- end }}
{{- if .Values.activator.enabled }}
# Of Apps that go to zero, one that stands for the activator; and whether upstream's have a pod.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch, create, patch, delete]
{{- else if .Values.rbac.httpRoutes }}
# A weight is given to pods only that a Gateway can find; and what an activator has left that is not there any more goes.
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [get, list, watch, delete]
{{- end }}
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- if has "metrics.k8s.io" .Values.autoscale.resourceMetrics }}
# cpu and memory of pods, for spec.autoscale.
- apiGroups: [metrics.k8s.io]
  resources: [pods]
  verbs: [list]
{{- end }}
{{- with .Values.autoscale.customMetrics }}
- apiGroups: [custom.metrics.k8s.io]
  resources: {{ toJson . }}
  verbs: [get]
{{- end }}
{{- with .Values.autoscale.externalMetrics }}
- apiGroups: [external.metrics.k8s.io]
  resources: {{ toJson . }}
  verbs: [get, list]
{{- end }}
{{- end }}

{{/* What opening EncryptedSecrets takes in a namespace: no pods, no Apps, no wildcard. RBAC cannot say "Secrets of ours alone": where
     these are given, every Secret can be read. */}}
{{- define "fairlead.secrets.rules" -}}
- apiGroups: [fairlead.dev]
  resources: [encryptedsecrets]
  verbs: [get, list, watch]
- apiGroups: [fairlead.dev]
  resources: [encryptedsecrets/status]
  verbs: [patch]
# An owner reference that blocks its owner's deletion takes this right on the owner.
- apiGroups: [fairlead.dev]
  resources: [encryptedsecrets/finalizers]
  verbs: [update]
# Which versions of a Secret Revisions run with.
- apiGroups: [fairlead.dev]
  resources: [revisions]
  verbs: [list, watch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- include "fairlead.secrets.sealedRules" . }}
{{- end }}

{{/* What reading SealedSecrets takes: nothing of theirs is written but the status. */}}
{{- define "fairlead.secrets.sealedRules" -}}
{{- if .Values.secrets.sealedSecrets.enabled }}
- apiGroups: [bitnami.com]
  resources: [sealedsecrets]
  verbs: [get, list, watch]
- apiGroups: [bitnami.com]
  resources: [sealedsecrets/status]
  verbs: [patch]
{{- end }}
{{- end }}

{{/* Where sealed-secrets is at home: whether its controller still runs, and its keys where not all Secrets may be read anyway. */}}
{{- define "fairlead.secrets.sealedHomeRules" -}}
- apiGroups: [apps]
  resources: [deployments]
  verbs: [list, watch]
{{- if include "fairlead.process.namespaces" (list . "secrets") | fromJsonArray }}
- apiGroups: [""]
  resources: [secrets]
  verbs: [list, watch]
{{- end }}
{{- end }}

{{/* What belongs to no namespace: the published keys. */}}
{{- define "fairlead.secrets.clusterRules" -}}
- apiGroups: [fairlead.dev]
  resources: [sealingkeys]
  verbs: [get, list, watch, create]
- apiGroups: [fairlead.dev]
  resources: [sealingkeys/status]
  verbs: [patch]
{{- end }}

{{/* Where it works in named namespaces only: the private keys, in the release's own. An EncryptedSecret there is refused, so it is
     looked for too. */}}
{{- define "fairlead.secrets.ownRules" -}}
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch, create, delete]
- apiGroups: [fairlead.dev]
  resources: [encryptedsecrets]
  verbs: [get, list, watch]
- apiGroups: [fairlead.dev]
  resources: [encryptedsecrets/status]
  verbs: [patch]
- apiGroups: [fairlead.dev]
  resources: [revisions]
  verbs: [list, watch]
{{- include "fairlead.secrets.sealedRules" . }}
{{- end }}

{{/* Kubelets' metrics, through the API server. */}}
{{- define "fairlead.workloads.clusterRules" -}}
{{- if has "kubelets" .Values.autoscale.resourceMetrics }}
- apiGroups: [""]
  resources: [nodes/proxy]
  verbs: [get]
{{- end }}
{{- end }}

{{/* Where it works in named namespaces only: where the activator's pods are, in the release's own. */}}
{{- define "fairlead.workloads.ownRules" -}}
{{- if .Values.activator.enabled }}
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- end }}
{{- end }}

{{/* What holding requests takes: where pods are, and where it is to listen. It faces strangers, and can write nothing. */}}
{{- define "fairlead.activator.rules" -}}
- apiGroups: [discovery.k8s.io]
  resources: [endpointslices]
  verbs: [list, watch]
{{- end }}

{{- define "fairlead.activator.clusterRules" -}}
{{- end }}

{{- define "fairlead.activator.ownRules" -}}
{{- end }}

{{/* A role with rules and its binding to one identity: a dict of root, component, name, rules, and namespace where it is for one. */}}
{{- define "fairlead.grant" -}}
{{- $ := .root -}}
{{- $kind := ternary "Role" "ClusterRole" (hasKey . "namespace") -}}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  {{- include "fairlead.metadata" (list $ .name .component) | nindent 2 }}
rules:
{{ .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  {{- include "fairlead.metadata" (list $ .name .component) | nindent 2 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: {{ $kind }}, name: {{ .name }}}
subjects: [{kind: ServiceAccount, name: {{ include "fairlead.process.serviceAccount" (list $ .component) }}, namespace: {{ $.Release.Namespace }}}]
{{- end }}

{{/* Leader election, in the release's own namespace and on its own Lease. RBAC cannot name what is yet to be created. */}}
{{- define "fairlead.leader.rules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ . }}]
  verbs: [get, update]
{{- end }}
