{{/* What each process is told besides what all are told. */}}
{{- define "fairlead.workloads.env" -}}
{{- with .Values.gates.allow }}
- {name: FAIRLEAD_GATE_ALLOW, value: {{ join "," . | quote }}}
{{- end }}
{{- with .Values.gates.prometheus }}
- {name: FAIRLEAD_GATE_PROMETHEUS, value: {{ . | quote }}}
{{- end }}
{{- with .Values.gates.credentials }}
{{- $entries := list }}
{{- range $index, $one := . }}
{{- $header := ternary (printf "%s:" (toString $one.header)) "" (not (empty $one.header)) }}
{{- $entries = append $entries (printf "%s=%s/etc/fairlead/credentials/%d/value" $one.origin $header $index) }}
{{- end }}
- {name: FAIRLEAD_GATE_CREDENTIALS, value: {{ join "," $entries | quote }}}
{{- end }}
{{- with .Values.autoscale.resourceMetrics }}
- {name: FAIRLEAD_AUTOSCALE_RESOURCE_METRICS, value: {{ join "," . | quote }}}
{{- end }}
{{- if .Values.activator.enabled }}
- {name: FAIRLEAD_ACTIVATOR_SERVICE, value: {{ .Release.Namespace }}/{{ include "fairlead.process.name" (list . "activator") }}}
{{- end }}
{{- end }}

{{/* Within the grace period: its end is told to all nodes, what it holds goes on, and who waits in vain is told. */}}
{{- define "fairlead.activator.env" -}}
- {name: FAIRLEAD_MAX_WAITING, value: {{ .Values.activator.maxWaiting | int64 | quote }}}
- {name: FAIRLEAD_GRACE_SECONDS, value: {{ max 0 (sub (int .Values.activator.terminationGracePeriodSeconds) 20) | quote }}}
{{- end }}

{{- define "fairlead.secrets.env" -}}
- {name: FAIRLEAD_KEY_NAMESPACE, value: {{ .Release.Namespace }}}
- {name: FAIRLEAD_KEY_RENEW_PERIOD, value: {{ include "fairlead.seconds" .Values.secrets.keyRenewPeriod | quote }}}
- {name: FAIRLEAD_RECOVERY_PUBLIC_KEYS, value: {{ join "," .Values.secrets.recoveryPublicKeys | quote }}}
- {name: FAIRLEAD_CLUSTER_SCOPE, value: {{ .Values.secrets.clusterScope | quote }}}
- {name: FAIRLEAD_SIGNERS, value: {{ join "," .Values.secrets.signers | quote }}}
{{- with .Values.secrets.sealedSecrets }}
{{- if .enabled }}
- {name: FAIRLEAD_SEALED_SECRETS_NAMESPACE, value: {{ .namespace }}}
{{- end }}
{{- end }}
- {name: FAIRLEAD_PROTECTED_NAMESPACES, value: {{ join "," .Values.guard.namespaces | quote }}}
{{- end }}
