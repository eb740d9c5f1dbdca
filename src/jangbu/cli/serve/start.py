"""From the command's options to a service that runs: one process, or several with one that watches over them."""

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from jangbu.cli.serve.certificate import Certificate, given_certificate, self_signed_certificate
from jangbu.cli.serve.listening import address, listen
from jangbu.cli.serve.loop import run
from jangbu.cli.serve.stopping import Stopping
from jangbu.cli.session import Session
from jangbu.config import Settings
from jangbu.errors import InvalidSettings

__all__ = ["start"]


def start(session: Session, host: str, port: int, options: Mapping[str, Any], *, self_signed: bool) -> None:
    """Serve until asked to stop. ``options`` are settings, checked, that win over all others."""
    settings = session.settings().model_copy(update=dict(options))
    certificate = _certificate(settings, host, self_signed=self_signed)
    url = address(host, port, secure=certificate is not None)

    def ready(_stopping: Stopping) -> None:
        facts = {"url": url}
        if self_signed and certificate is not None:
            facts["certificate"] = str(certificate.chain)
        session.show(facts, lambda: _said(facts))

    with ExitStack() as listening:
        listeners = [
            listening.enter_context(listener)
            for listener in listen(host, port, workers=settings.workers, client_seconds=settings.client_seconds_max)
        ]
        if settings.workers == 1:
            from jangbu.cli.serve.process import serve_on

            run(serve_on(settings, listeners, certificate, ready, url))
        else:
            from jangbu.cli.serve.workers import serve_with_workers

            # The parent only watches: it gets Python's own loop, which can put a worker in a process group of its own.
            asyncio.run(serve_with_workers(settings, session, listeners, certificate, ready, url))


def _certificate(settings: Settings, host: str, *, self_signed: bool) -> Certificate | None:
    """Give the certificate to serve with, or None to serve without TLS."""
    if not self_signed:
        return given_certificate(settings.tls_certificate, settings.tls_key)
    if settings.tls_certificate is not None or settings.tls_key is not None:
        raise InvalidSettings("two certificates are named", hint="give --tls-self-signed or a certificate, not both")
    from jangbu.storage.embedded import default_data_dir

    return self_signed_certificate(settings.data_dir or default_data_dir(), host)


def _said(facts: Mapping[str, str]) -> str:
    trust = f"\nclients trust it with SSL_CERT_FILE={facts['certificate']}" if "certificate" in facts else ""
    return f"serving on {facts['url']}; Ctrl-C stops it{trust}"
