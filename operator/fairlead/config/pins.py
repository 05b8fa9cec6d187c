"""From spec.config to what a Revision pins and what its pods get. Pure.

What is added to a pod here is not part of the template's hash: the revision's digest has the pins instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from fairlead.config.model import (
    ConfigMap,
    Content,
    Copy,
    Entry,
    Lack,
    Pin,
    Sealed,
    Wanted,
    content_hash,
    key_hashes,
    size_of,
)
from fairlead.core.actions import Read
from fairlead.core.meta import JSON, truncate

KIND = "ConfigMap"
MOST_BYTES = 1024 * 1024  # of one ConfigMap's values (kubernetes pkg/apis/core/validation MaxSecretSize)
MOST_KEYS = 1000  # a Revision names each with a hash, and is an object of limited size itself
VOLUME = "config-"  # before the entry's name: the volume's

# A ConfigMap as the watch tells of it (None: there is none), and its content as last read with the resourceVersion it had.
Found = tuple[ConfigMap | None, tuple[int, Content | None] | None]


def wanted(
    namespace: str,
    app: str,
    entries: Sequence[Entry],
    template: JSON,
    find: Callable[[str], Found],
    find_sealed: Callable[[str], Sealed | None] = lambda name: None,
) -> Wanted:
    """What spec.config comes to, with what `find` knows of the ConfigMaps it names, and `find_sealed` of the EncryptedSecrets.

    >>> made = wanted("default", "shop", [Entry("s", mount_path="/etc/shop", files={"a": "1"})], {}, lambda name: (None, None))
    >>> made.known, made.pins[0].copy == made.copies[0].name, made.copies[0].content.data
    (True, True, {'a': '1'})
    >>> missing = wanted("default", "shop", [Entry("s", env=True, config_map="settings")], {}, lambda name: (None, None))
    >>> missing.known, missing.lacks[0].reason
    (False, 'ConfigMapMissing')
    """
    pins, copies, reads = [], [], []
    lacks = list(clashes(entries, template))
    for entry in entries:
        if entry.secret:
            pins.append(_pin(entry))
            continue
        if entry.encrypted_secret:
            sealed = pin_sealed(namespace, entry, find_sealed(entry.encrypted_secret))
            if isinstance(sealed, Lack):
                lacks.append(sealed)
            else:
                pins.append(sealed)
            continue
        content: Content | None
        if entry.inline is not None:
            content = Content(entry.inline)
        else:
            there, read = find(entry.config_map)
            if there is None:
                lacks.append(_missing(namespace, entry))
                continue
            if read is None or read[0] < there.rv:
                reads.append(Read(KIND, namespace, there.name, there.rv))
            if read is None:
                continue
            if read[1] is None:  # it was there when the watch told of it, and gone when it was read
                lacks.append(_missing(namespace, entry))
                continue
            content = read[1]
        chosen, lack = choose_keys(entry, content)
        if lack:
            lacks.append(lack)
            continue
        copy = Copy(copy_name(app, entry.name, chosen), entry.name, chosen)
        copies.append(copy)
        pins.append(_pin(entry, copy))
    known = not lacks and len(pins) == len(entries)
    return Wanted(tuple(pins) if known else (), tuple(copies), tuple(lacks), tuple(dict.fromkeys(reads)), known)


def choose_keys(entry: Entry, content: Content) -> tuple[Content, Lack | None]:
    """The keys an entry asks for (all, where it names none), and what stands against them.

    >>> choose_keys(Entry("s", config_map="m", keys=("a",)), Content({"a": "1", "b": "2"}))[0].data
    {'a': '1'}
    >>> print(choose_keys(Entry("s", config_map="m", keys=("c",)), Content({"a": "1"}))[1].message)
    spec.config[s].keys: ConfigMap m has no key "c" (it has a); add the key to it, or correct keys
    """
    where = f"spec.config[{entry.name}]"
    if entry.keys:
        absent = [key for key in entry.keys if key not in content.data and key not in content.binary]
        if absent:
            has = ", ".join(sorted({*content.data, *content.binary})[:10]) or "none"
            words = f'{where}.keys: ConfigMap {entry.config_map} has no key "{absent[0]}" (it has {has}); add the key to it, or correct keys'
            return content, Lack("ConfigMapKeyMissing", words)
        content = Content(_only(content.data, entry.keys), _only(content.binary, entry.keys), content.by)
    count, size = len(content.data) + len(content.binary), size_of(content)
    if count > MOST_KEYS:
        words = f"{where}: {count} keys, at most {MOST_KEYS} can be pinned; name those the app needs under keys, or split it over several ConfigMaps"
        return content, Lack("ConfigTooLarge", words)
    if size > MOST_BYTES:
        words = f"{where}: {size} bytes, at most {MOST_BYTES} fit into one ConfigMap; split it over several entries"
        return content, Lack("ConfigTooLarge", words)
    return content, None


def _only(side: dict[str, str], keys: Iterable[str]) -> dict[str, str]:
    return {key: side[key] for key in keys if key in side}


def copy_name(app: str, entry: str, content: Content) -> str:
    """`<app>-<entry>-<hash of the content>`: the same content has the same copy, in whatever revision.

    >>> copy_name("shop", "settings", Content({"a": "1"}))
    'shop-settings-65sqx489pr'
    """
    return f"{truncate(f'{app}-{entry}', 200)}-{content_hash(content)}"


def _pin(entry: Entry, copy: Copy | None = None) -> Pin:
    return Pin(
        name=entry.name,
        mount_path=entry.mount_path,
        env=entry.env,
        prefix=entry.prefix,
        copy=copy.name if copy else "",
        source=entry.config_map,
        by=copy.content.by if copy else "",
        secret=entry.secret,
        reload=entry.reload,
        keys=key_hashes(copy.content) if copy else {},
    )


def pin_sealed(namespace: str, entry: Entry, there: Sealed | None) -> Pin | Lack:
    """The version of an EncryptedSecret that is to be pinned, or why there is none: its own words, where it has any.

    >>> entry = Entry("db", env=True, encrypted_secret="shop-db", keys=("password",))
    >>> pin_sealed("shop", entry, Sealed("shop", "shop-db", "u", 1, "shop-db-tslp7k2525", ("password", "user"))).secret
    'shop-db-tslp7k2525'
    >>> pin_sealed("shop", entry, Sealed("shop", "shop-db", "u", 1, "shop-db-tslp7k2525", ("user",))).reason
    'EncryptedSecretKeyMissing'
    """
    where, name = f"spec.config[{entry.name}]", entry.encrypted_secret
    stays = "what runs is left as it is"
    if there is None:
        words = f"{where}.encryptedSecret: there is no EncryptedSecret {name} in namespace {namespace}; create it, or correct the name"
        return Lack("EncryptedSecretMissing", f"{words}; {stays}")
    if there.problem:
        return Lack(
            "EncryptedSecretNotReady",
            f"{where}.encryptedSecret: of EncryptedSecret {name} no version can be pinned: {there.problem}; {stays}",
        )
    absent = [key for key in entry.keys if key not in there.keys]
    if absent:
        has = ", ".join(sorted(there.keys)[:10]) or "none"
        words = f'{where}.keys: EncryptedSecret {name} has no key "{absent[0]}" (it has {has}); seal a value for it, or correct keys'
        return Lack("EncryptedSecretKeyMissing", f"{words}; {stays}")
    return Pin(
        name=entry.name,
        mount_path=entry.mount_path,
        env=entry.env,
        prefix=entry.prefix,
        source=name,
        secret=there.version,
        items=entry.keys,
    )


def _missing(namespace: str, entry: Entry) -> Lack:
    words = f"spec.config[{entry.name}].configMap: there is no ConfigMap {entry.config_map} in namespace {namespace}; create it, or correct the name"
    return Lack("ConfigMapMissing", f"{words}; what runs is left as it is")


def clashes(entries: Iterable[Entry], template: JSON) -> Iterator[Lack]:
    """Names and places that the template has taken already, each told by the field to change.

    >>> template = {"spec": {"containers": [{"name": "web", "volumeMounts": [{"name": "data", "mountPath": "/etc/shop/"}]}]}}
    >>> [lack.message for lack in clashes([Entry("s", mount_path="/etc/shop")], template)]
    ['spec.config[s].mountPath: container web of the template mounts its volume data at /etc/shop too; change one of the two; what runs is left as it is']
    """
    spec = template.get("spec") or {}
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    taken: dict[str, str] = {}
    for container in _containers(spec):
        for mount in container.get("volumeMounts") or ():
            who = f"container {container.get('name')} of the template mounts its volume {mount.get('name')}"
            taken.setdefault(_path(mount.get("mountPath", "")), who)
    for entry in entries:
        if not entry.mount_path:
            continue
        field, path = f"spec.config[{entry.name}]", _path(entry.mount_path)
        if path in taken:
            words = f"{field}.mountPath: {taken[path]} at {path} too; change one of the two; what runs is left as it is"
            yield Lack("ConfigClash", words)
        taken[path] = f"spec.config[{entry.name}] mounts its content"
        if VOLUME + entry.name in volumes:
            words = f"{field}.name: the template has a volume {VOLUME}{entry.name} already, which is what this entry's is called; rename one of the two"
            yield Lack("ConfigClash", f"{words}; what runs is left as it is")


def _path(path: str) -> str:
    return path.rstrip("/") or "/"


def _containers(spec: JSON) -> Iterator[JSON]:
    for field in ("initContainers", "containers"):
        yield from spec.get(field) or ()


# ---------------------------------------------------------------- pods


def add_config(pins: Sequence[Pin], pod_spec: JSON) -> JSON:
    """The pod spec with a revision's configuration in every container: files as volumes, variables before those of the
    template, which therefore wins.

    >>> spec = add_config([Pin("s", mount_path="/etc/shop", copy="shop-s-1"), Pin("db", env=True, secret="db")], {"containers": [{"name": "web"}]})
    >>> spec["volumes"], spec["containers"][0]["volumeMounts"]
    ([{'name': 'config-s', 'configMap': {'name': 'shop-s-1'}}], [{'name': 'config-s', 'mountPath': '/etc/shop', 'readOnly': True}])
    >>> spec["containers"][0]["envFrom"]
    [{'secretRef': {'name': 'db'}}]
    >>> add_config([], {"containers": []})
    {'containers': []}
    """
    if not pins:
        return pod_spec
    mounted = sorted((pin for pin in pins if not pin.env), key=lambda pin: pin.name)
    volumes = [_volume(pin) for pin in mounted]
    mounts = [{"name": VOLUME + pin.name, "mountPath": pin.mount_path, "readOnly": True} for pin in mounted]
    sources = [_env_from(pin) for pin in pins if pin.env and not pin.items]
    variables = [_variable(pin, key) for pin in pins if pin.env for key in pin.items]

    def configured(container: JSON) -> JSON:
        added: JSON = {}
        if mounts:
            added["volumeMounts"] = [*(container.get("volumeMounts") or ()), *mounts]
        if sources:
            added["envFrom"] = [*sources, *(container.get("envFrom") or ())]
        if variables:
            own = container.get("env") or ()
            taken = {variable.get("name") for variable in own}
            added["env"] = [*(one for one in variables if one["name"] not in taken), *own]
        return container | added

    made = pod_spec | {
        field: [configured(container) for container in pod_spec[field]]
        for field in ("initContainers", "containers")
        if pod_spec.get(field)
    }
    return made | {"volumes": [*(pod_spec.get("volumes") or ()), *volumes]} if volumes else made


def _volume(pin: Pin) -> JSON:
    source: JSON = {"secret": {"secretName": pin.secret}} if pin.secret else {"configMap": {"name": pin.copy}}
    if pin.items:
        source["secret"]["items"] = [{"key": key, "path": key} for key in pin.items]
    return {"name": VOLUME + pin.name, **source}


def _env_from(pin: Pin) -> JSON:
    source: JSON = {"secretRef": {"name": pin.secret}} if pin.secret else {"configMapRef": {"name": pin.copy}}
    return source | ({"prefix": pin.prefix} if pin.prefix else {})


def _variable(pin: Pin, key: str) -> JSON:
    """One key as a variable: a whole source cannot be narrowed down."""
    return {"name": pin.prefix + key, "valueFrom": {"secretKeyRef": {"name": pin.secret, "key": key}}}
