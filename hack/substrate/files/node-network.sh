#!/bin/sh
# Gives this node its pod network, in place of kindnetd and under its name: one CNI configuration for the node's pod CIDRs,
# one route per other node, and masquerading for what leaves the pod network. Runs in the host's network namespace, so the
# host's name is the node's; kind passes POD_SUBNET (both families, comma-separated).
set -u

cni=${CNI_FOLDER:-/etc/cni/net.d}

family() { # ADDRESS: the word that both nft and ip know it by
  case $1 in *:*) echo ip6 ;; *) echo ip ;; esac
}

masquerade() {
  for subnet in $(echo "$POD_SUBNET" | tr ',' ' '); do
    f=$(family "$subnet")
    # Declared, flushed and declared again: the same result whether the table was there or not.
    nft -f - <<NFT
table $f kindnet { chain post { type nat hook postrouting priority 100; policy accept; } }
flush table $f kindnet
table $f kindnet { chain post { type nat hook postrouting priority 100; policy accept;
  $f saddr $subnet $f daddr != $subnet masquerade
} }
NFT
  done
}

configure() { # CIDR,CIDR,: writes the CNI configuration of this node
  ranges=
  routes=
  for cidr in $(echo "$1" | tr ',' ' '); do
    ranges="$ranges${ranges:+,}[{\"subnet\":\"$cidr\"}]"
    case $cidr in *:*) everything=::/0 ;; *) everything=0.0.0.0/0 ;; esac
    routes="$routes${routes:+,}{\"dst\":\"$everything\"}"
  done
  cat >"$cni/.kindnet" <<JSON
{"cniVersion": "0.4.0", "name": "kindnet", "plugins": [
  {"type": "ptp", "ipMasq": false,
   "ipam": {"type": "host-local", "dataDir": "/run/cni-ipam-state", "routes": [$routes], "ranges": [$ranges]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}
]}
JSON
  mv "$cni/.kindnet" "$cni/10-kindnet.conflist" # whole or not at all: the runtime watches this folder
}

reach() { # IP,IP, CIDR,CIDR,: routes another node's pods through its addresses
  for cidr in $(echo "$2" | tr ',' ' '); do
    for address in $(echo "$1" | tr ',' ' '); do
      [ "$(family "$cidr")" = "$(family "$address")" ] || continue
      case $(family "$cidr") in
      ip6) ip -6 route replace "$cidr" via "$address" ;;
      ip) ip route replace "$cidr" via "$address" ;;
      esac
    done
  done
}

name='{{.metadata.name}}'
addresses='{{range .status.addresses}}{{if eq .type "InternalIP"}}{{.address}},{{end}}{{end}}'
cidrs='{{range .spec.podCIDRs}}{{.}},{{end}}'

masquerade
while :; do
  # Which node this is, its name says. Its address does not: Docker may start the nodes in another order and give each the
  # address of another, and until the kubelets have told, the API server holds the old ones.
  kubectl get nodes --watch -o "go-template=$name $addresses $cidrs{{\"\\n\"}}" | while read -r node node_addresses node_cidrs; do
    [ -n "$node_cidrs" ] || continue
    case $node in
    "$(hostname)") configure "$node_cidrs" ;;
    *) reach "$node_addresses" "$node_cidrs" ;;
    esac
  done
  sleep 1 # the API server ended the watch, or is not there
done
