{{/* What running Apps takes in a namespace, and no more: no Secrets, no exec, no eviction, no wildcard. */}}
{{- define "fairlead.workloads.rules" -}}
- apiGroups: [fairlead.dev]
  resources: [apps, gates]
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
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end }}
