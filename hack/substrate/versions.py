"""One consistent set of versions, built and run together. Change one here and only what depends on it is rebuilt."""

GO = "1.26.8"  # the least Kubernetes 1.36 builds with is 1.26.0; this one is fetched where Go is older or missing
GO_MINIMUM = (1, 26)

KUBERNETES = "v1.36.3"
KIND = "v0.33.0"
HELM = "v3.22.0"
HELM4 = "v4.3.1"  # its --wait reads conditions (kstatus), which Helm 3 does for built-in kinds only
KWOK = "v0.8.0"
GATEWAY_API = "v1.6.3"  # the definitions of its kinds alone
TRAEFIK = "v3.6.12"  # a Gateway; later ones need modules that cannot be had everywhere
METRICS_SERVER = "v0.9.0"
METRICS_ADAPTER = "v1.36.0"  # of the library of adapters: its sample, which serves what it is told
VERTICAL_AUTOSCALER = "v1.8.1"  # its recommender, which ours is held to
KUBESEAL = "v0.27.1"  # writes what the import of SealedSecrets is tested with
PROMETHEUS = "v0.305.0"  # of the module: the release 3.5.0; later ones need a module that cannot be had everywhere

# What a node image holds besides Kubernetes itself.
CONTAINERD = "v2.3.7"
RUNC = "v1.4.3"
CNI_PLUGINS = "v1.9.1"
ETCD = "v3.6.8"
COREDNS = "v1.14.2"
LOCAL_PATH = "v0.0.30"

# Image tags that kind and kubeadm ask for by name. The images behind them are ours where none can be pulled.
PAUSE_TAG = "3.10"
KINDNETD_TAG = "v20260820-69b56db7"
LOCAL_PATH_TAG = "v20260820-69b56db7"
LOCAL_PATH_HELPER_TAG = "v20260131-7181c60a"
AGNHOST_TAG = "2.63.0"
BUSYBOX_TAG = "1.36"

# The Debian release under the node image and under the operator's base image where none can be pulled. systemd of
# bookworm still boots on cgroup v1, later ones do not.
DEBIAN = "bookworm"

# The Python of the operator's image: wheels are collected for it, whatever Python runs here.
PYTHON = "3.11"
PIP = "26.3"  # installs them inside the image
