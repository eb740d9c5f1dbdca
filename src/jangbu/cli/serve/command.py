"""``serve``: the command and its options."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from jangbu.cli.commands import command
from jangbu.cli.session import Session
from jangbu.cli.values import whole_number
from jangbu.errors import InvalidInput, JangbuError

__all__ = ["register"]

_PORT = 8787
_PORT_MAX = 65_535
_WORKERS_MAX = 64
_FORMATS = ("json", "text", "off")


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app, "serve")(serve)


def serve(
    session: Session,
    port: Annotated[str, typer.Option(metavar="P", help="The port to listen on.")] = str(_PORT),
    host: Annotated[str, typer.Option(metavar="H", help="The address to listen on.")] = "127.0.0.1",
    workers: Annotated[
        str | None, typer.Option(metavar="N", help="How many processes serve.", show_default="1")
    ] = None,
    log_format: Annotated[
        str | None,
        typer.Option(
            metavar="FORMAT",
            help="How requests are logged to standard error: json, text or off.",
            show_default="text on a terminal, else json",
        ),
    ] = None,
    tls_certificate: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Speak TLS with this certificate and its chain (PEM).", show_default=False),
    ] = None,
    tls_key: Annotated[
        str | None, typer.Option(metavar="FILE", help="The key of the certificate (PEM).", show_default=False)
    ] = None,
    tls_self_signed: Annotated[
        bool, typer.Option("--tls-self-signed", help="Speak TLS with a certificate for this machine; for development.")
    ] = False,
) -> None:
    """Serve until stopped: Gemini's own paths for clients; /healthz, /readyz and /metrics for operators."""
    number = whole_number(port, "the port", least=1, most=_PORT_MAX)
    options = {
        "workers": None if workers is None else whole_number(workers, "workers", least=1, most=_WORKERS_MAX),
        "log_format": _format(log_format),
        "tls_certificate": None if tls_certificate is None else Path(tls_certificate),
        "tls_key": None if tls_key is None else Path(tls_key),
    }
    if find_spec("aiohttp") is None:
        raise JangbuError("the gateway's parts are not installed", hint="run `pip install 'jangbu[gateway]'`")
    from jangbu.cli.serve.start import start

    start(session, host, number, {name: value for name, value in options.items() if value}, self_signed=tls_self_signed)


def _format(given: str | None) -> str | None:
    if given is not None and given not in _FORMATS:
        raise InvalidInput(f"{given[:40]!r} is no format of a log", hint=f"one of {', '.join(_FORMATS)}")
    return given
