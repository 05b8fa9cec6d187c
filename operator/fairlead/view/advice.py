"""What a reason means and what a person can do about it: one entry per reason, in words for whoever is on call at night."""

from __future__ import annotations

import msgspec


class Advice(msgspec.Struct, frozen=True):
    """`meaning` completes "…: "; `todo` are sentences, most likely cause first."""

    meaning: str
    todo: tuple[str, ...]


_IMAGE = Advice(
    "a node cannot get the image",
    (
        "Check the image's name and tag for a typo, and that it was pushed.",
        "A private registry needs imagePullSecrets in the template or on its service account.",
        "If other images fail too, the nodes cannot reach the registry.",
    ),
)
_CRASH = Advice(
    "the process starts and ends again; the kubelet waits longer before each new start",
    (
        "Read its last words: most often a setting, a secret or a server it needs is missing.",
        "Try the image and its command on your own machine, with the same environment.",
    ),
)
_CONFIG = Advice(
    "the container cannot be made because something it refers to is not there",
    (
        "Create the ConfigMap, Secret or key the message names, or mark the reference optional: the pod goes on by itself.",
    ),
)
_CREATE_OR_OPTIONAL = ("Create it, or mark the reference optional: the pods go on by themselves.",)
_START = Advice(
    "the container runtime cannot start the process",
    ("Check command, args, workingDir, mounts and securityContext against what is in the image.",),
)
_NODE = Advice(
    "its node took the pod away; Fairlead replaces it",
    ("Nothing, unless it comes back: then look at the node's memory and disk.",),
)
_REFUSED = Advice(
    "the API server does not accept the pods",
    ("The message says which rule stands against it; change the template or ask whoever owns the rule.",),
)

# By the reason's own word: the kubelet's and the scheduler's, then those of rollout/problems.py and of the conditions.
CATALOGUE: dict[str, Advice] = {
    "ErrImagePull": _IMAGE,
    "ImagePullBackOff": _IMAGE,
    "ImageInspectError": _IMAGE,
    "RegistryUnavailable": Advice(
        "the registry does not answer the nodes",
        ("Wait for the registry, or pull from a mirror: pods that run are not touched.",),
    ),
    "InvalidImageName": Advice(
        "the image's name is not one", ("Correct the image in the template: name[:tag][@sha256:…], lower case.",)
    ),
    "ErrImageNeverPull": Advice(
        "the image is not on the node and imagePullPolicy is Never",
        ("Load the image onto the nodes, or let them pull it: imagePullPolicy IfNotPresent.",),
    ),
    "CrashLoopBackOff": _CRASH,
    "Error": _CRASH,
    "PodFailed": _CRASH,
    "OOMKilled": Advice(
        "the process used more memory than its limit and was ended",
        ("Raise resources.limits.memory, or find what uses it.",),
    ),
    "Completed": Advice(
        "the process ended by itself, which an App's never should",
        ("Run a process that stays, or use a Job for work that ends.",),
    ),
    "CreateContainerConfigError": _CONFIG,
    "ConfigMapMissing": Advice(
        "a ConfigMap that the template or spec.config refers to does not exist",
        ("Create it, or mark the template's reference optional: all goes on by itself.",),
    ),
    "SecretMissing": Advice("a Secret the template refers to does not exist", _CREATE_OR_OPTIONAL),
    "VolumeClaimMissing": Advice(
        "a PersistentVolumeClaim the template refers to does not exist", ("Create it: the pods go on by themselves.",)
    ),
    "ContainerCreating": Advice(
        "a node has had the pod for half a minute and has not created its containers",
        (
            "The pod's events say what the node waits for; `fairlead why` reads them: an image that is pulled, or a volume whose "
            "ConfigMap, Secret or claim is not there.",
        ),
    ),
    "FailedMount": Advice(
        "a volume of the pod cannot be mounted",
        ("The message says which and why: create what it refers to; the pod goes on by itself, within two minutes.",),
    ),
    "CreateContainerError": _START,
    "RunContainerError": _START,
    "StartError": _START,
    "ContainerCannotRun": _START,
    "PostStartHookError": Advice(
        "the container's postStart hook failed, so it was ended", ("Run the hook's command by hand in the image.",)
    ),
    "Unschedulable": Advice(
        "no node has room for the pod or may take it",
        (
            "The message counts the nodes by cause: lower resources.requests, add nodes, or loosen nodeSelector, "
            "affinity and tolerations.",
        ),
    ),
    "SchedulingGated": Advice(
        "the pod has scheduling gates that another program must remove", ("Find what set spec.schedulingGates.",)
    ),
    "NotReady": Advice(
        "the process runs and its readiness probe has not succeeded yet",
        ("Look at the probe: its path and port, and whether the process needs longer (startupProbe).",),
    ),
    "NodeNotReady": Advice(
        "the node these pods are on does not answer",
        (
            "Kubernetes takes the pods away after five minutes (the template's tolerations may say otherwise), and "
            "they are replaced on other nodes.",
            "If the node is gone for good, delete it: kubectl delete node NAME replaces them at once.",
        ),
    ),
    "Evicted": _NODE,
    "NodeLost": _NODE,
    "NodeShutdown": _NODE,
    "Terminated": _NODE,
    "Preempting": _NODE,
    "UnexpectedAdmissionError": _NODE,
    "QuotaExceeded": Advice(
        "the namespace's quota is used up",
        (
            "Raise the ResourceQuota or scale something down.",
            "With maxSurge 0 and maxUnavailable 1 a rollout needs no room of its own.",
        ),
    ),
    "PodSecurityViolation": Advice(
        "the namespace's Pod Security level forbids what the template asks for",
        (
            "Set the securityContext fields the message lists: runAsNonRoot, allowPrivilegeEscalation: false, "
            "capabilities, seccompProfile.",
        ),
    ),
    "LimitRangeViolation": Advice(
        "the namespace's LimitRange forbids the resources the template asks for",
        ("Change resources.requests and resources.limits to what the message allows.",),
    ),
    "AdmissionDenied": _REFUSED,
    "CreateForbidden": _REFUSED,
    "CreateRefused": _REFUSED,
    "ServiceAccountMissing": Advice(
        "the service account the template names does not exist", ("Create it: the pods follow by themselves.",)
    ),
    "PriorityClassMissing": Advice(
        "the priority class the template names does not exist", ("Create it: the pods follow by themselves.",)
    ),
    "NamespaceTerminating": Advice(
        "the namespace is being deleted: nothing can be created in it any more", ("Move the App to another one.",)
    ),
    "NameTaken": Advice(
        "an object of that name belongs to something else",
        ("Delete or rename the other one: the App goes on by itself.",),
    ),
    "SelectorConflict": Advice(
        "another owner's pods carry this App's labels",
        ("Remove the label fairlead.dev/app from those pods: Fairlead never takes what belongs to another.",),
    ),
    "InvalidSpec": Advice(
        "the App was stored before its schema forbade what it says", ("Correct the spec where the message points.",)
    ),
    "UnknownStrategy": Advice(
        "no such rollout strategy is installed", ("Correct spec.rollout.strategy, or install what provides it.",)
    ),
    "ConfigMapKeyMissing": Advice(
        "spec.config names a key that its ConfigMap does not have",
        ("Add the key to the ConfigMap, or correct spec.config: the release goes on by itself.",),
    ),
    "EncryptedSecretMissing": Advice(
        "spec.config names an EncryptedSecret that does not exist",
        ("Create it, or correct the name: the release goes on by itself.",),
    ),
    "EncryptedSecretNotReady": Advice(
        "an EncryptedSecret that spec.config names has no version that could be released",
        (
            "The message has its own words, and `kubectl describe fsecret` lists every value that does not open.",
            "Where it was never looked at, the operator's part for secrets does not run (the chart's value secrets.enabled).",
            "The release goes on by itself; what runs is left as it is.",
        ),
    ),
    "EncryptedSecretKeyMissing": Advice(
        "spec.config names a key that its EncryptedSecret does not have",
        ("Seal a value for it, or correct spec.config: the release goes on by itself.",),
    ),
    "ConfigTooLarge": Advice(
        "what spec.config names does not fit into one immutable copy",
        ("Name the keys that the app needs, or split the content over several entries.",),
    ),
    "ConfigClash": Advice(
        "spec.config and the template want the same place or name", ("Change one of the two, as the message says.",)
    ),
    "ConfigRefused": Advice(
        "the API server does not accept the copy of what spec.config names",
        (
            "The message says which rule stands against it: a quota for ConfigMaps, a policy, or rights of the operator.",
        ),
    ),
    "ConfigCopyMissing": Advice(
        "the copy of the configuration that the active revision runs with was deleted",
        ("Release the App anew, with the content in spec.config: pods that run go on meanwhile.",),
    ),
    "ConfigPending": Advice(
        "the first release waits for what spec.config names",
        ("Look at the condition Config: it says what is missing.",),
    ),
    "WaitingForOthers": Advice(
        "the release comes after that of other Apps (spec.after)",
        ("Look at the Apps the message names: this one goes on by itself when they are ready.",),
    ),
    "WaitingToGoBack": Advice(
        "another App of the release group was taken back, and this one goes back with it, after those released after it",
        ("Wait: it goes back as soon as they are back. To keep what runs: fairlead pause.",),
    ),
    "DependencyCycle": Advice(
        "Apps wait for one another in a circle (spec.after)", ("Take one of the names out of spec.after.",)
    ),
    "RollbackBlocked": Advice(
        "the revision to go back to ran with configuration that is gone",
        ("Give spec.config that content again and release it, or choose another revision (fairlead history).",),
    ),
    "GatewayApiMissing": Advice(
        "spec.expose.route needs HTTPRoutes, which cannot be used here: the Service shares the traffic by counts of pods",
        (
            "Install Gateway API and a Gateway's controller, or ask who runs the cluster.",
            "If it is installed: the chart's rbac lets Fairlead write httproutes.gateway.networking.k8s.io.",
        ),
    ),
    "RouteRefused": Advice(
        "the API server refuses the HTTPRoute, or a Service that it needs",
        ("Read its words in the message: mend the field of spec.expose.route they name.",),
    ),
    "RouteNotAccepted": Advice(
        "a Gateway does not take the HTTPRoute: it sends no requests here",
        (
            "Compare spec.expose.route with the Gateway's listeners: hostnames, sectionName, port, and allowedRoutes, which "
            "must allow routes of this namespace.",
        ),
    ),
    "BackendsUnresolved": Advice(
        "a Gateway has the HTTPRoute, and cannot find the Services it names",
        ("Look at the Services of the message: kubectl get services -l fairlead.dev/app.",),
    ),
    "WeightRounded": Advice(
        "a weight of spec.rollout.steps is not to be had with so many replicas",
        ("The message says what it comes to; more replicas come nearer.",),
    ),
    "WeightImpossible": Advice(
        "with one replica and no surge no canary can be beside it",
        ("Set spec.rollout.maxSurge to 1, or run two replicas.",),
    ),
    "RevisionNotFound": Advice(
        "spec.rollout.undoTo names a revision that is not kept",
        ("Choose another one (fairlead history lists them), or remove the field to run the template.",),
    ),
    "ProgressDeadlineExceeded": Advice(
        "nothing moved for the whole progress deadline",
        ("Look at the pods that are not ready; a change of the spec starts a new attempt.",),
    ),
    "ReleaseFailed": Advice(
        "the release failed and was taken back: what ran before runs again",
        (
            "Mend the template and apply it: the new one is released as usual.",
            "If the cause lay elsewhere and is gone: fairlead retry tries the same template again.",
        ),
    ),
    "GroupMemberFailed": Advice(
        "another App of the release group was taken back, and this one with it: what ran before runs again",
        (
            "Mend the App that failed (the message names it), or fairlead retry it: this one is released again with it.",
            "To release this one without: fairlead retry, or apply another template.",
        ),
    ),
    "ReleaseAborted": Advice(
        "somebody aborted the release: what ran before runs again",
        ("Change the template, or try the same again with fairlead retry.",),
    ),
    "RolledBack": Advice(
        "the release was taken back: what ran before runs again",
        ("Change the template, or try the same again with fairlead retry.",),
    ),
    "StepPaused": Advice(
        "the release waits at one of its steps, as spec.rollout.steps wants it",
        ("Wait, or let it pass: fairlead promote; or take it back: fairlead abort.",),
    ),
    "GateFailed": Advice(
        "a gate has measured that the new revision is not well",
        (
            "Look at what it measured: the message, and status.gates of the Revision.",
            "To go on all the same: fairlead approve; to go back: fairlead abort.",
        ),
    ),
    "GateInconclusive": Advice(
        "a gate's measurements are neither success nor failure",
        ("Decide yourself: fairlead approve to go on, fairlead abort to go back.",),
    ),
    "GateError": Advice(
        "a gate cannot be measured: there is no answer, or no number in it",
        (
            "Mend the address, the query or the backend; the release goes on by itself when there is an answer.",
            "Or decide yourself: fairlead approve to go on, fairlead abort to go back.",
        ),
    ),
    "GateNotFound": Advice(
        "the spec names a Gate that is not in this namespace, or cannot be read",
        ("Apply the Gate, or correct its name in spec.rollout.gates or spec.rollout.steps.",),
    ),
    "HealthGateNotPassed": Advice(
        "the containers are ready, and what a health gate (spec.health.gates) asks of each pod is not as it should be yet",
        (
            "Look at what was measured: it is asked again every intervalSeconds, and the pod gets traffic when it passes.",
            "If the gate is wrong, correct or remove it in spec.health.gates: removed, it holds no pod any more.",
        ),
    ),
    "HealthGateError": Advice(
        "a health gate (spec.health.gates) gets no answer, or no number in it: pods stay as ready as they were",
        (
            "Mend the path, the port, the query or the backend; a NetworkPolicy must let the operator in. It is asked again by itself.",
            "New pods wait for it: to have them without, remove the gate from spec.health.gates.",
        ),
    ),
    "HealthGateRefused": Advice(
        "the operator may not write what health gates found on the pods",
        (
            "Give it the right that the message names: the chart's roles have it (patch pods/status), so upgrade the release.",
        ),
    ),
    "ResizeRefused": Advice(
        "pods that are there keep what they request; new ones request what is recommended",
        (
            "The message says what stands against it: a right on pods/resize, a quota, a cluster before Kubernetes 1.33.",
            "Or have all pods made anew: fairlead restart.",
        ),
    ),
    "FeedsBack": Advice(
        "autoscale.resources would change the requests that a metric is a share of: the two would chase one another",
        (
            "Give the metric averageValue in place of averageUtilization, or a source that is no share of requests.",
            "Or leave the resource to the template: controlledResources of the containers in autoscale.resources.",
        ),
    ),
    "PodLevelResources": Advice(
        "the template bounds its pods as a whole, and what single containers request says nothing then",
        ("Take spec.template.spec.resources away, or set autoscale.resources.mode to Recommend.",),
    ),
    "NoAmount": Advice(
        "a container of the template requests what is no amount, and the API server takes no such pod",
        ("Correct the request or limit that the message names: 500m, 2, 512Mi.",),
    ),
    "MetricsUnavailable": Advice(
        "spec.autoscale cannot tell a metric: the App keeps its size, and gets no smaller",
        (
            "Mend what the message names: it goes on by itself. Per cent of cpu or memory need resources.requests in every container.",
            "Without metrics-server: install it, or let the operator read kubelets (chart value autoscale.resourceMetrics).",
            "Not to depend on it: give the metric a fallback.",
        ),
    ),
    "NoActivator": Advice(
        "spec.autoscale.idle would have the App at zero, but nobody is there to hold its requests: it keeps a pod",
        (
            "Do what the message says: install the activator (chart value activator.enabled), or see why its pods are not ready.",
            "To have it at zero by its metrics alone: take idle away, with a metric of object or external.",
        ),
    ),
    "NotOwned": Advice(
        "an object of the App's name belongs to something else",
        ("Delete or rename the other one, or rename the App.",),
    ),
    "Contested": Advice(
        "another program keeps changing what Fairlead writes",
        ("Stop one of the two: the message names who else writes the object.",),
    ),
    "ServiceRefused": Advice(
        "the API server does not accept the Service", ("Change spec.expose as the message says.",)
    ),
    "NoEvictionAllowed": Advice(
        "the disruption budget can allow no eviction, so a node with one of these pods can never be drained",
        (
            "Give it room: spec.disruption: {maxUnavailable: 1}, or more replicas than minAvailable.",
            "If nothing but you may move these pods, it is as it should be: fairlead restart replaces them all the same.",
        ),
    ),
    "BudgetRefused": Advice(
        "the API server does not accept the disruption budget", ("Change spec.disruption as the message says.",)
    ),
}

UNKNOWN = Advice("", ("The message is all that is known: kubectl describe shows the pod's events.",))


def advice(reason: str) -> Advice:
    """What to say of a reason; for one that nobody foresaw, where to look.

    >>> advice("ImagePullBackOff").meaning
    'a node cannot get the image'
    """
    return CATALOGUE.get(reason, UNKNOWN)
