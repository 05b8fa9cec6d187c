"""SealedSecrets of sealed-secrets by the thousand: how long Fairlead needs to open them all when it starts in place of their own
controller."""

import asyncio

import msgspec
from cryptography.hazmat.primitives.asymmetric import rsa

from bench import usage
from bench.contenders import Call, side_by_side
from bench.process import Operator
from bench.workload import NAMESPACE
from fairlead.core.conditions import find
from fairlead.kube.client import Client
from fairlead.kube.errors import NotFound
from fairlead.kube.resources import SEALED_SECRETS, SECRETS
from support.kubeseal import DEFINITION, key_secret, sealed_secret

HOME = "kube-system"  # where its own controller keeps its keys
_SETTINGS = {"FAIRLEAD_SEALED_SECRETS_NAMESPACE": HOME}
_LIMIT = 600.0  # seconds
_VALUE = "a password of thirty-two letters"


async def measure(client: Client, operator: Operator, count: int) -> dict[str, float]:
    """Seconds from the start of the process until `count` SealedSecrets that were there before have said that they are open;
    their definition (`DEFINITION`) is there."""
    await _served(client)
    key = rsa.generate_private_key(65537, 4096)  # as that controller has them
    await client.create(SECRETS, HOME, msgspec.json.encode(key_secret(key, HOME)))
    await side_by_side([_create(client, key, f"sealed-{number}") for number in range(count)])
    listed = msgspec.json.decode(await client.list(SEALED_SECRETS, NAMESPACE, limit=1))
    loop = asyncio.get_running_loop()
    began = loop.time()
    pids = {"fairlead": operator.start(_SETTINGS)}
    before = usage.read(pids, loop.time())
    await _opened(client, listed["metadata"]["resourceVersion"], count)
    took = loop.time() - began
    spent = usage.spent(before, usage.read(pids, loop.time()))["fairlead"]
    return {"unsealed_start": took, "unsealed_cpu": spent / count * 1e6}


def manifest() -> str:
    """The definition of SealedSecrets, for `kubectl apply`."""
    return msgspec.json.encode(DEFINITION).decode()


async def _served(client: Client) -> None:
    async with asyncio.timeout(_LIMIT):
        while True:
            try:
                await client.list(SEALED_SECRETS, NAMESPACE, limit=1)
                return
            except NotFound:
                await asyncio.sleep(0.1)


def _create(client: Client, key: rsa.RSAPrivateKey, name: str) -> Call:
    body = sealed_secret(key, {"password": _VALUE}, f"{NAMESPACE}/{name}".encode())
    body["metadata"] |= {"name": name, "namespace": NAMESPACE}
    encoded = msgspec.json.encode(body)
    return lambda: client.create(SEALED_SECRETS, NAMESPACE, encoded)


async def _opened(client: Client, version: str, count: int) -> None:
    """By one watch, so that looking costs next to nothing."""
    opened: set[str] = set()
    async with asyncio.timeout(_LIMIT):
        async for lines in client.watch(SEALED_SECRETS, NAMESPACE, resource_version=version):
            for line in lines:
                one = msgspec.json.decode(line)["object"]
                said = find((one.get("status") or {}).get("conditions") or (), "Synced") or {}
                if said.get("reason") == "Opened":
                    opened.add(one["metadata"]["name"])
            if len(opened) == count:
                return
