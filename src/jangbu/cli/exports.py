"""``ledger export`` and ``ledger check``: a user's history in a file, and whether a file still is what was written."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from jangbu.cli.accounts import User
from jangbu.cli.commands import command
from jangbu.cli.ledger import ledger
from jangbu.cli.session import Session
from jangbu.cli.whole_files import Out, write_pieces
from jangbu.errors import IntegrityMismatch, InvalidInput

if TYPE_CHECKING:
    from jangbu.config import Settings
    from jangbu.metering.export_check import Checked
    from jangbu.metering.signing import Signer

__all__ = ["register"]

_KEY_FILE = "signing.pem"
_KEY_LENGTH = 64


def register(app: typer.Typer) -> None:
    """Add the commands to the noun ``ledger``, which is in the app already."""
    del app
    command(ledger, "export")(export)
    command(ledger, "check")(check)


async def export(
    session: Session,
    user: User,
    signed: Annotated[bool, typer.Option("--signed", help="Sign it; JANGBU_SIGNING_KEY names the key.")] = False,
    out: Out = None,
) -> None:
    """Write all of a user's entries as lines of JSON with a root, which `ledger check` checks without the database.

    A signed export shows whoever has your public key that nothing in it was changed since, and that nothing is missing
    before its last entry. Two of them show whether history was rewritten in between: see `ledger check --extends`. It
    does not show that an entry was true when it was written: `verify` and `explain` do.
    """
    settings = session.settings()
    signer = _signer(settings) if signed else None
    async with session.ledger() as metering:
        from jangbu.metering.export import export as exported

        user = await metering.accounts.user_named(user)
        account = await metering.accounts.find(user)
        lines = exported(
            metering.database,
            account.id,
            project=settings.project,
            user=account.user,
            signer=signer,
        )
        # The first line says whose history it is, the last one closes it.
        entries = await write_pieces(lines, out) - 2
    if out is None:
        return
    key = None if signer is None else signer.public_key
    facts = {"user": account.user, "file": out, "entries": entries, "public_key": key}
    by = "" if key is None else f", signed with the key whose public half is {key}"
    session.show(facts, lambda: f"{_entries(entries)} of {account.user} written to {out}{by}")


def check(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="An export; - is standard input.")],
    public_key: Annotated[
        str | None, typer.Option(metavar="KEY", help="The public key that must have signed it.", show_default=False)
    ] = None,
    extends: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="An earlier export, whose history it must go on.", show_default=False),
    ] = None,
) -> None:
    """Check an export with nothing but the file: exit 0, 6 with the first line that differs, 2 where it is none.

    Without --public-key a signature shows only that whoever made it had some key: one who rewrites a history can sign
    it anew, with another. Compare the key, or give it, and keep earlier exports where the operator cannot reach them.
    """
    if public_key is not None and not _is_key(public_key):
        raise InvalidInput(f"{public_key[:40]!r} is no public key", hint=f"it has {_KEY_LENGTH} hexadecimal digits")
    earlier = None if extends is None else _checked(extends, public_key, None)
    if earlier is not None and earlier.line is not None:
        raise IntegrityMismatch(
            f"line {earlier.line} of {extends} {earlier.why}", hint="nothing can be compared with it"
        )
    found = _checked(file, public_key, earlier)
    facts = {name: getattr(found, name) for name in found.__dataclass_fields__ if name != "ends"}
    session.show({"ok": found.line is None, **facts}, lambda: _text(found))
    if found.line is not None:
        raise IntegrityMismatch(
            f"line {found.line} {found.why}", hint="ask for the export anew, and compare it with earlier ones"
        )


def _checked(file: str, public_key: str | None, earlier: "Checked | None") -> "Checked":
    from jangbu.metering.export_check import LINE_BYTES_MAX
    from jangbu.metering.export_check import check as checked

    with _read(file) as stream:
        return checked(iter(lambda: stream.readline(LINE_BYTES_MAX), b""), signed_by=public_key, earlier=earlier)


def _text(found: "Checked") -> str:
    whose = f"{_entries(found.entries)} of {found.user} (project {found.project}, {found.exported_at})"
    if found.line is not None:
        return f"line {found.line} differs; {whose} before it hang together"
    by = "not signed" if found.public_key is None else f"signed by {found.public_key}"
    return f"{whose} hang together, root {found.root}, {by}"


def _entries(number: int) -> str:
    return f"{number:,} {'entry' if number == 1 else 'entries'}"


def _signer(settings: "Settings") -> "Signer":
    from jangbu.metering.signing import Signer
    from jangbu.storage.embedded import default_data_dir

    if settings.signing_key is not None:
        return Signer.read(settings.signing_key)
    return Signer.read_or_make((settings.data_dir or default_data_dir()).absolute() / _KEY_FILE)


def _is_key(text: str) -> bool:
    return len(text) == _KEY_LENGTH and all(digit in "0123456789abcdef" for digit in text.lower())


@contextmanager
def _read(file: str) -> Iterator[BinaryIO]:
    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        with Path(file).open("rb") as stream:
            yield stream
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}") from None
