"""`fairlead keys`: the keys that open sealed values, over their whole life."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import click
from click.shell_completion import CompletionItem

from fairlead import dumps
from fairlead.cli.change import DRY, merged, without_managed_fields
from fairlead.cli.completing import sealing_key_names
from fairlead.cli.failures import Failed, warn
from fairlead.cli.options import Verb, VerbGroup, change, connection, output
from fairlead.cli.render import columns, header
from fairlead.cli.screen import Screen
from fairlead.cli.sealing import backup, files
from fairlead.cli.sealing.making import rendered
from fairlead.cli.sealing.published import COMPROMISED, RETIRED, Published, newest, published, sealer
from fairlead.cli.session import Session, flatten, session_of
from fairlead.core.meta import API_VERSION, JSON
from fairlead.kube.errors import AlreadyExists, NotFound
from fairlead.kube.resources import SEALING_KEYS, SECRETS, Resource
from fairlead.secrets import keys as forms
from fairlead.secrets import suites
from fairlead.secrets.signing import SigningKey
from fairlead.secrets.suites import BadKey, PrivateKey
from fairlead.view.ages import age

operator_namespace = click.option(
    "--operator-namespace",
    default="fairlead-system",
    show_default=True,
    metavar="NS",
    help="Where the operator keeps the private keys.",
)
recovery_option = click.option(
    "--recovery-key", "recovery", required=True, metavar="FILE", help="The recovery key, from where it is kept offline."
)
dry_run = click.option(
    "--dry-run",
    type=click.Choice(["none", "client", "server"]),
    default="none",
    help="client: say what would be made; server: let the API server try it.",
)


def kids(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return sealing_key_names(ctx, incomplete)


@click.group(cls=VerbGroup)
def keys() -> None:
    """The keys of sealed values: one seals, older ones still open. Each is a SealingKey, which anybody may read; its private part
    is in the operator's namespace alone, and sealed to your recovery keys if you have made any."""
    dumps.forbid()


@keys.command("list", cls=Verb, short_help="List the keys: state, age, what still uses each.")
@output("json", "yaml")
@connection
@click.pass_context
def list_(ctx: click.Context, output: str | None) -> None:
    """List the keys, newest first: state, age, and how many EncryptedSecrets are still sealed to each."""
    session = session_of(ctx)
    raws = _all(session)
    if output:
        session.screen.objects([without_managed_fields(raw) for raw in raws], output)
        return
    recovery = {raw["metadata"]["name"]: len((raw.get("spec") or {}).get("recovery") or ()) for raw in raws}
    found = newest(published(raw) for raw in raws)
    rows = [_row(key, recovery[key.kid], session.cluster.now()) for key in found]
    names = ["KID", "SUITE", "STATE", "AGE", "OBJECTS", "RECOVERY KEYS"]
    session.screen.lines(columns([header(names), *rows], gap=3))


def _row(key: Published, recovery: int, now: float) -> list[str]:
    objects = "" if key.objects is None else str(key.objects)
    return [key.kid, key.suite, key.state or key.wish, age(key.created, now), objects, str(recovery)]


@keys.command(cls=Verb, short_help="Print the key that seals, or a backup.")
@click.argument("kid", required=False, shell_complete=kids)
@click.option("--all", "everything", is_flag=True, help="All keys, for seal --verify without a cluster.")
@click.option("--private", is_flag=True, help="A backup: the private keys too, sealed to recovery keys.")
@click.option("--to", multiple=True, metavar="FILE", help="With --private: the public half of a recovery key.")
@click.option("--yes", is_flag=True, help="With --private: do not ask.")
@operator_namespace
@connection
@click.pass_context
def export(
    ctx: click.Context,
    kid: str | None,
    everything: bool,
    private: bool,
    to: tuple[str, ...],
    yes: bool,
    operator_namespace: str,
) -> None:
    """Print the key that seals, or the one that is named, for sealing without a cluster. It is public.

    With --private the private keys come with it, each sealed to a recovery key, so the output is of use only to who has that
    key's offline half. Keys that were minted after a recovery key was configured hold such a backup already: --all prints it.

    \b
      fairlead keys export > key.yaml
      fairlead keys export --private --to recovery.key.pub > backup.yaml
    """
    session = session_of(ctx)
    if private != bool(to):
        raise click.UsageError("--private and --to belong together: no private key is printed unsealed", ctx)
    raws = _all(session)
    if private or everything:
        chosen = [raw for raw in raws if kid in (None, raw["metadata"]["name"])]
    else:
        found = [published(raw) for raw in raws]
        wanted = kid or sealer(found, "the cluster").kid
        chosen = [raw for raw in raws if raw["metadata"]["name"] == wanted]
    if not chosen:
        raise Failed(_no_key(kid or ""))
    made = [_exported(raw, recovery=everything) for raw in chosen]
    if private:
        made = _with_private_keys(session, made, to, operator_namespace, yes)
    session.screen.text(rendered(made, None))


def _exported(raw: JSON, *, recovery: bool) -> JSON:
    """What says which key it is, and how it stands; nothing else of the object."""
    spec = {key: value for key, value in (raw.get("spec") or {}).items() if recovery or key != "recovery"}
    spec.setdefault("createdAt", raw["metadata"].get("creationTimestamp"))
    state = (raw.get("status") or {}).get("state")
    made: JSON = {
        "apiVersion": API_VERSION,
        "kind": "SealingKey",
        "metadata": {"name": raw["metadata"]["name"]},
        "spec": spec,
    }
    return {**made, "status": {"state": state}} if state else made


def _with_private_keys(session: Session, keys: list[JSON], to: Sequence[str], namespace: str, yes: bool) -> list[JSON]:
    recovery = [backup.recovery_public(file) for file in to]
    if not yes:
        _asked_twice(len(keys), [public.kid for public in recovery])
    now = session.cluster.now()
    made = []
    for raw in keys:
        kid = raw["metadata"]["name"]
        private = _private(session, kid, namespace)
        if private is None:
            warn(f"{kid}: its Secret is not in namespace {namespace}: it is left out")
            continue
        made.append({**raw, "spec": {**raw["spec"], "recovery": forms.wrapped(private, recovery, now)}})
    if not made:
        raise Failed(
            f"there is no private key in namespace {namespace}; is it the operator's? See --operator-namespace"
        )
    return made


def _asked_twice(count: int, recovery: list[str]) -> None:
    what = f"{count} private key{'' if count == 1 else 's'}"
    click.confirm(
        f"{what} will be read, with which every value sealed to {'it' if count == 1 else 'them'} can be opened. Go on?",
        abort=True,
        err=True,
    )
    click.confirm(
        f"Sealed to the recovery key {', '.join(recovery)}: do you have its offline half?", abort=True, err=True
    )


def _private(session: Session, kid: str, namespace: str) -> PrivateKey | None:
    try:
        raw = session.cluster.get(SECRETS, forms.secret_name(kid), namespace=namespace)
        found = forms.private_from(base64.b64decode((raw.get("data") or {})[forms.KEY_PRIVATE]).decode())
    except NotFound:
        return None
    except (BadKey, KeyError, binascii.Error, ValueError):
        raise Failed(f"Secret {forms.secret_name(kid)} in namespace {namespace} holds no key") from None
    if found.kid != kid:
        raise Failed(f"Secret {forms.secret_name(kid)} in namespace {namespace} holds another key than its name says")
    return found


# ---------------------------------------------------------------- back into a cluster


class Target(NamedTuple):
    """Where keys are put, and whether they really are."""

    session: Session
    namespace: str
    dry_run: str

    def secret(self, private: PrivateKey, created: float) -> None:
        """The private part. One that is there already stays, and has to be this very key."""
        made = self._create(SECRETS, forms.key_secret(private, self.namespace, created))
        if not made and _private(self.session, private.kid, self.namespace) is None:
            raise Failed(f"Secret {forms.secret_name(private.kid)} is being made or deleted by someone else: try again")

    def publish(self, manifest: JSON) -> None:
        self._create(SEALING_KEYS, manifest)

    def _create(self, resource: Resource, manifest: JSON) -> bool:
        """False where it is there already."""
        what = f"{resource.kind} {manifest['metadata']['name']}"
        done = {"none": "made", "client": "would be made (dry run)", "server": "made (server dry run)"}[self.dry_run]
        try:
            if self.dry_run != "client":
                self.session.cluster.create(resource, manifest, dry_run=self.dry_run == "server")
        except AlreadyExists:
            self.session.screen.say(f"{what} is there already")
            return False
        self.session.screen.say(f"{what} {done}")
        return True


@keys.command("import", cls=Verb, short_help="Bring a backup's keys into this cluster, to open.")
@click.argument("file")
@recovery_option
@dry_run
@operator_namespace
@connection
@click.pass_context
def import_(ctx: click.Context, file: str, recovery: str, dry_run: str, operator_namespace: str) -> None:
    """Bring the keys of a backup into this cluster, so that what was sealed to them opens here too. They only open: what seals is this
    cluster's own newest key. FILE is what `fairlead keys export --private` printed."""
    target = Target(session_of(ctx), operator_namespace, dry_run)
    for raw, private in _opened(recovery, backup.sealing_keys_in(file)):
        target.secret(private, _created(raw))
        target.publish(_manifest(raw, private, "DecryptOnly"))


@keys.command(cls=Verb, short_help="Make lost private keys again, by a recovery key.")
@click.option(
    "-f", "--filename", metavar="FILE", help="SealingKeys of a file (git, a backup) instead of the cluster's."
)
@recovery_option
@dry_run
@operator_namespace
@connection
@click.pass_context
def recover(ctx: click.Context, filename: str | None, recovery: str, dry_run: str, operator_namespace: str) -> None:
    """Make the private keys again that the cluster has lost (KeyRingIncomplete), from what stands in its SealingKeys: each key was sealed
    to your recovery keys when it was minted. With -f the SealingKeys too. What is there is left alone."""
    target = Target(session_of(ctx), operator_namespace, dry_run)
    found = backup.sealing_keys_in(filename) if filename else _all(target.session)
    for raw, private in _opened(recovery, [raw for raw in found if published(raw).state != RETIRED]):
        target.secret(private, _created(raw))
        if filename:
            target.publish(_manifest(raw, private, str((raw.get("spec") or {}).get("wish") or "")))


def _opened(recovery: str, found: list[JSON]) -> list[tuple[JSON, PrivateKey]]:
    """All that this recovery key opens; of the others it is said why not. Failed where it opens none."""
    private = backup.recovery_key(recovery)
    opened: list[tuple[JSON, PrivateKey]] = []
    for raw, key in backup.opened(private, found):
        if isinstance(key, BadKey):
            warn(str(key))
        else:
            opened.append((raw, key))
    if not opened:
        raise Failed(
            f"{recovery}: it opens none of {len(found)} keys: they were minted before it was configured (Helm: secrets.recoveryPublicKeys), or "
            "it is another one; use a backup of fairlead keys export --private, with fairlead keys import"
        )
    return opened


def _created(raw: JSON) -> float:
    created = published(raw).created
    return time.time() if created is None else created


def _manifest(raw: JSON, private: PrivateKey, wish: str) -> JSON:
    made = forms.sealing_key(private.public, _created(raw), (raw.get("spec") or {}).get("recovery") or ())
    return {**made, "spec": {**made["spec"], "wish": wish}} if wish else made


# ---------------------------------------------------------------- their lives


class Wish(NamedTuple):
    """How a person's wish for a key is written and told."""

    session: Session
    dry_run: str
    output: str | None

    def write(self, raw: JSON, wish: str, told: str) -> None:
        kid, body = raw["metadata"]["name"], {"spec": {"wish": wish}}
        if self.dry_run == "client":
            result = merged(raw, body)
        else:
            result = self.session.cluster.patch(SEALING_KEYS, kid, body, dry_run=self.dry_run == "server")
        screen = self.session.screen
        if self.output in ("json", "yaml"):
            screen.objects(without_managed_fields(result), self.output)
        elif self.output == "name":
            screen.say(f"sealingkey.fairlead.dev/{kid}")
        else:
            screen.say(f"sealingkey.fairlead.dev/{kid} {told}{DRY[self.dry_run]}")


@keys.command(cls=Verb, short_help="Have a new key made now.")
@click.argument("kid", required=False, shell_complete=kids)
@click.option("--compromised", is_flag=True, help="Somebody may have this key (the one that seals, or KID).")
@change
@connection
@click.pass_context
def rotate(
    ctx: click.Context, kid: str | None, compromised: bool, dry_run: str, field_manager: str, output: str | None
) -> None:
    """Have a new key minted now, by writing spec.wish of the one that seals: DecryptOnly, or Compromised. Nothing stops working: the old
    key still opens. Afterwards `fairlead reseal` moves files to the new key.

    A new key alone heals no leak: who has the old key and an old commit can read what was sealed. Replace those secrets
    at their source; `fairlead keys list` and `kubectl get encryptedsecrets -A` say what used the key.
    """
    if kid and not compromised:
        raise click.UsageError("a key is named with --compromised only: what is renewed is the one that seals", ctx)
    session = session_of(ctx, field_manager=field_manager)
    raws = _all(session)
    wanted = kid or sealer([published(raw) for raw in raws], "the cluster").kid
    writing = Wish(session, dry_run, output)
    if compromised:
        writing.write(
            _named(raws, wanted),
            COMPROMISED,
            "is compromised: a new key is minted; replace what was sealed to this one at its source, then: fairlead seal --into",
        )
    else:
        writing.write(
            _named(raws, wanted), "DecryptOnly", "only opens from now on: a new key is minted; then: fairlead reseal"
        )


@keys.command(cls=Verb, short_help="Let a key go that nothing uses any more.")
@click.argument("kid", shell_complete=kids)
@change
@connection
@click.pass_context
def retire(ctx: click.Context, kid: str, dry_run: str, field_manager: str, output: str | None) -> None:
    """Let a key go that nothing uses any more, by setting spec.wish to Retired: what is sealed to it never opens again, old commits too, and
    its Secret may be deleted then. Refused while EncryptedSecrets use it."""
    session = session_of(ctx, field_manager=field_manager)
    raw = _named(_all(session), kid)
    key = published(raw)
    if key.seals:
        raise Failed(f"{kid} seals: have a new key minted first: fairlead keys rotate")
    if key.objects is None:
        raise Failed(f"{kid}: the operator has not counted yet what uses it: is it running? See: fairlead keys list")
    if key.objects:
        raise Failed(
            f"{kid}: {key.objects} EncryptedSecret{' is' if key.objects == 1 else 's are'} still sealed to it: fairlead reseal, and apply; which: "
            "kubectl get encryptedsecrets -A -o yaml | grep " + kid
        )
    Wish(session, dry_run, output).write(raw, RETIRED, "retires")


@keys.command(cls=Verb, short_help="Make a recovery key, or one to sign with.")
@click.option(
    "--recovery", "recovery", metavar="FILE", help="Where a recovery key's private half goes; the public one: FILE.pub."
)
@click.option("--signing", "signing", metavar="FILE", help="The same, of a key to sign EncryptedSecrets with.")
@click.pass_context
def generate(ctx: click.Context, recovery: str | None, signing: str | None) -> None:
    """Make a pair of keys. No cluster is needed.

    A recovery key: the operator seals every new key to its public half, and its private half is kept offline, for the day the cluster is
    lost. A signing key: where the operator knows its public half, it opens only what was signed with the private one.

    \b
      fairlead keys generate --recovery recovery.key
      helm upgrade … --set 'secrets.recoveryPublicKeys={xw:…}'
      fairlead keys generate --signing me.key
      helm upgrade … --set 'secrets.signers={ed25519:…}'
    """
    if bool(recovery) == bool(signing):
        raise click.UsageError("say which: --recovery FILE or --signing FILE", ctx)
    if recovery:
        _recovery_pair(recovery)
    elif signing:
        own = SigningKey.generate()
        _pair(signing, f"Fairlead signing key {own.signer.id}", own.encode(), own.signer.encode())
        click.echo(
            f"{signing} is the private half: whoever has it can sign as {own.signer.id}. The line above (also in {signing}.pub) goes into the "
            "Helm value secrets.signers, once every EncryptedSecret is signed: fairlead seal sign",
            err=True,
        )


def _recovery_pair(file: str) -> None:
    suite = suites.default_suite()
    if suites.lack():
        warn(suites.lack())
    private = suites.generate(suite)
    _pair(file, f"Fairlead recovery key {private.kid}", forms.key_text(private), forms.key_text(private.public))
    click.echo(
        f"{file} is the private half: keep it offline, it opens every sealed value. The line above (also in {file}.pub) goes into the Helm value "
        "secrets.recoveryPublicKeys: keys that are minted from then on are sealed to it",
        err=True,
    )


def _pair(file: str, title: str, private: str, public: str) -> None:
    """Into two new files; the public half is printed."""
    beside = Path(f"{file}.pub")
    if beside.exists():
        raise Failed(f"{beside} is there already: choose another name, or move it away")
    files.create_private(Path(file), f"# {title}, private: keep it offline\n{private}\n".encode())
    files.replace(beside, f"# {title}, public\n{public}\n")
    Screen().text(public + "\n")


# ---------------------------------------------------------------- shared


def _all(session: Session) -> list[JSON]:
    return flatten(session.cluster.pages(SEALING_KEYS, namespace=None))


def _named(raws: list[JSON], kid: str) -> JSON:
    found = next((raw for raw in raws if raw["metadata"]["name"] == kid), None)
    if found is None:
        raise Failed(_no_key(kid))
    return found


def _no_key(kid: str) -> str:
    return f"there is no SealingKey {kid}".rstrip() + " in this cluster; see: fairlead keys list"
