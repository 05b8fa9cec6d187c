"""EncryptedSecrets by the thousand: how long the process needs to open them all after its start, and to be of use again
after a restart; and what one value costs to seal and to open."""

import asyncio
import time

import msgspec

from bench import usage
from bench.contenders import Call, side_by_side
from bench.process import Operator
from bench.workload import NAMESPACE
from fairlead.core.meta import API_VERSION
from fairlead.kube.client import Client
from fairlead.kube.errors import NotFound
from fairlead.kube.resources import ENCRYPTED_SECRETS, SEALING_KEYS, SECRETS
from fairlead.secrets.envelope import Place, Scope, parse
from fairlead.secrets.sealing import seal, unseal
from fairlead.secrets.suites import PublicKey, default_suite, generate

_LIMIT = 600.0  # seconds
_VALUES = 500  # sealed and opened for what one costs
_VALUE = b"a password of thirty-two letters"


async def measure(client: Client, operator: Operator, count: int) -> dict[str, float]:
    """Seconds from the start of the process until `count` EncryptedSecrets that were there before are all open, and from
    another start until a Secret that was deleted meanwhile is there again."""
    operator.start()
    operator.wait_ready()
    public = await _published(client)
    await asyncio.to_thread(operator.stop)
    await side_by_side(_creates(client, public, count))
    loop = asyncio.get_running_loop()
    version = msgspec.json.decode(await client.list(ENCRYPTED_SECRETS, NAMESPACE, limit=1))["metadata"][
        "resourceVersion"
    ]
    began = loop.time()
    pids = {"fairlead": operator.start()}
    before = usage.read(pids, loop.time())
    await _opened(client, version, count)
    first = loop.time() - began
    spent = usage.spent(before, usage.read(pids, loop.time()))["fairlead"]
    await asyncio.to_thread(operator.stop)
    await client.delete(SECRETS, NAMESPACE, "sealed-0")
    began = loop.time()
    operator.start()
    await _there(client, "sealed-0")
    again = loop.time() - began
    return {"secrets_start": first, "secrets_cpu": spent / count * 1e6, "secrets_restart": again, **rates()}


def rates() -> dict[str, float]:
    """Values sealed and opened in a second of one core, under the suite that new keys have."""
    key, place = generate(default_suite()), Place(Scope.STRICT, NAMESPACE, "sealed", "password")
    began = time.process_time()
    texts = [seal(key.public, place, _VALUE, 0) for _ in range(_VALUES)]
    sealed = time.process_time() - began
    began = time.process_time()
    opened = [unseal(key, parse(text), place).value for text in texts]
    took = time.process_time() - began
    if set(opened) != {_VALUE}:
        raise RuntimeError("what was sealed did not come back")
    return {"seal_rate": _VALUES / sealed, "open_rate": _VALUES / took}


async def _published(client: Client) -> PublicKey:
    while True:
        async with asyncio.timeout(_LIMIT):
            items = msgspec.json.decode(await client.list(SEALING_KEYS))["items"]
        if items:
            return PublicKey.decode(items[0]["spec"]["suite"], items[0]["spec"]["publicKey"])
        await asyncio.sleep(0.1)


def _creates(client: Client, public: PublicKey, count: int) -> list[Call]:
    def create(name: str) -> Call:
        sealed = seal(public, Place(Scope.STRICT, NAMESPACE, name, "password"), _VALUE, 0)
        meta = {"name": name, "namespace": NAMESPACE}
        body = msgspec.json.encode(
            {
                "apiVersion": API_VERSION,
                "kind": "EncryptedSecret",
                "metadata": meta,
                "spec": {"values": {"password": sealed}},
            }
        )
        return lambda: client.create(ENCRYPTED_SECRETS, NAMESPACE, body)

    return [create(f"sealed-{number}") for number in range(count)]


async def _opened(client: Client, version: str, count: int) -> None:
    """By one watch, so that looking costs next to nothing."""
    opened: set[str] = set()
    async with asyncio.timeout(_LIMIT):
        async for lines in client.watch(ENCRYPTED_SECRETS, NAMESPACE, resource_version=version):
            for line in lines:
                one = msgspec.json.decode(line)["object"]
                if (one.get("status") or {}).get("version"):
                    opened.add(one["metadata"]["name"])
            if len(opened) == count:
                return


async def _there(client: Client, name: str) -> None:
    async with asyncio.timeout(_LIMIT):
        while True:
            try:
                await client.get(SECRETS, NAMESPACE, name)
                return
            except NotFound:
                await asyncio.sleep(0.02)
