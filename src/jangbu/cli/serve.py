"""``serve``: keep the ledger up, sweep it, and answer on HTTP."""

import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from jangbu.cli.commands import command
from jangbu.cli.session import Session
from jangbu.cli.values import whole_number
from jangbu.errors import JangbuError

if TYPE_CHECKING:
    import uvicorn

__all__ = ["register"]

_PORT = 8787
_PORT_MAX = 65_535
_ENDING = (signal.SIGINT, signal.SIGTERM)


def register(app: typer.Typer) -> None:
    """Add the command to the app."""
    command(app, "serve")(serve)


async def serve(
    session: Session,
    port: Annotated[str, typer.Option(metavar="P", help="The port to listen on.")] = str(_PORT),
    host: Annotated[str, typer.Option(metavar="H", help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Serve until stopped: the ledger is kept up and swept, /healthz and /readyz tell how it is."""
    number = whole_number(port, "the port", least=1, most=_PORT_MAX)
    import uvicorn

    from jangbu.api.app import create_app

    async with session.ledger() as metering:
        listener = _listen(host, number)
        server = uvicorn.Server(uvicorn.Config(create_app(metering), log_level="warning", lifespan="off"))
        session.show({"url": f"http://{host}:{number}"}, lambda: f"serving on http://{host}:{number}; Ctrl-C stops it")
        with _ending(server):
            await server.serve(sockets=[listener])


@contextmanager
def _ending(server: "uvicorn.Server") -> Iterator[None]:
    """Have Ctrl-C and SIGTERM end the service as its normal end, with the ledger closed in order.

    uvicorn raises the signals that it has seen once more when it is done; without handlers of ours they would end the
    process before the ledger is closed.
    """
    import asyncio

    loop = asyncio.get_running_loop()
    for number in _ENDING:
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    try:
        yield
    finally:
        for number in _ENDING:
            loop.remove_signal_handler(number)


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before anything is started."""
    try:
        return socket.create_server((host, port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise JangbuError(f"{host}:{port} cannot be listened on: {reason}", hint="choose another --port") from error
