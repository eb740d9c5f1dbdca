"""The fake Gemini as a process: ``python -m jangbu.testing.fake --port 0 --log answers.jsonl``.

It writes its URL as the first line of its output, and with ``--tls`` the certificate's path as the second.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from jangbu.errors import InvalidInput, JangbuError
from jangbu.testing.behaviours import Behaviour
from jangbu.testing.gemini import FakeGemini

__all__ = ["main"]

_PORT_MOST = 65_535


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM."""
    given = _parser().parse_args(arguments)
    gemini = FakeGemini(
        host=given.host,
        port=given.port,
        log=given.log,
        sync=given.sync,
        tls=given.tls,
        gzip=given.gzip,
        chunk_delay=given.chunk_delay,
        behaviour=given.behaviour,
        api_key=given.api_key,
        user_header=given.user_header,
        label_headers=tuple(given.label_header),
    )
    try:
        return _serve(gemini)
    except (JangbuError, OSError) as failure:
        # A port that is taken, or a log that may not be written: a line says it, as those of the command do.
        sys.stderr.write(f"error: {failure}\n")
        return 1


def _serve(gemini: FakeGemini) -> int:
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with gemini:
        sys.stdout.write(f"{gemini.url}\n" + (f"{gemini.certificate}\n" if gemini.certificate else ""))
        sys.stdout.flush()
        signal.sigwait(signals)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m jangbu.testing.fake", description="Serve a fake Gemini.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=_port, default=0, help="0 takes any port that is free")
    parser.add_argument("--log", type=Path, help="a file for the answers, one line of JSON each")
    parser.add_argument("--sync", action="store_true", help="have each line of the log reach the disk")
    parser.add_argument("--tls", action="store_true", help="speak TLS with a certificate that signs itself")
    parser.add_argument("--gzip", action="store_true", help="compress answers for clients that accept it")
    parser.add_argument("--chunk-delay", type=float, default=0.0, help="seconds between the chunks of a stream")
    parser.add_argument("--behaviour", type=_behaviour, default=Behaviour(), help="see jangbu.testing.behaviours")
    parser.add_argument("--api-key", help="the only key to let in")
    parser.add_argument("--user-header", default="x-jangbu-user", help="the header that names the user")
    parser.add_argument("--label-header", action="append", default=[], help="a header to keep as a label")
    return parser


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _PORT_MOST):
        raise argparse.ArgumentTypeError(f"{text!r} is no port; give 0 to {_PORT_MOST:,}")
    return int(text)


def _behaviour(text: str) -> Behaviour:
    try:
        return Behaviour.parse(text)
    except InvalidInput as failure:
        raise argparse.ArgumentTypeError(str(failure)) from failure


if __name__ == "__main__":
    raise SystemExit(main())
