"""The one way by which an alert leaves for an address on the network that a setting names.

The name is resolved here and every address that it has is checked; then the connection is made to the checked address
itself, so that a name which changes its mind in between (DNS rebinding) gains nothing. Proxies of the environment are
not used and redirects are not followed. Time and size are bounded. No error repeats the address: it may be a secret.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

import h11

from jangbu.errors import AlertUndelivered, InvalidSettings

__all__ = ["Target", "is_public", "post"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS = {"http": 80, "https": 443}
_HEAD_BYTES_MAX = 16_384
_READ_BYTES = 4_096
_GONE = 410
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_CLOSED = tuple(
    ipaddress.ip_network(each)
    for each in (
        "100.64.0.0/10",
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "100::/64",
        "2001::/23",
        "2002::/16",
        "5f00::/16",
        "fec0::/10",
    )
)
"""Networks that some releases of Python call global: shared, special and tunnelled ones, and a cloud's own host."""
_OPEN_TARGETS = "set JANGBU_ALERT_PRIVATE_TARGETS=true if the receiver is meant to be inside your network"


@dataclass(frozen=True, slots=True)
class Target:
    """Where to post: an address of http or https without a user or a password."""

    host: str
    port: int
    path: str
    is_secure: bool
    authority: str = field(repr=False)

    @classmethod
    def read(cls, url: str, setting: str) -> "Target":
        """Read a URL. Raises InvalidSettings, which names the setting and nothing of the URL."""
        hint = "write https://host/path"
        try:
            parts = urlsplit(url)
            port = parts.port or _PORTS.get(parts.scheme, 0)
            host = parts.hostname or ""
            # Also of ASCII: a name with a label that is too long fails the resolver with an error of Python's.
            host = host.encode("ascii" if ":" in host else "idna").decode()
        except ValueError:
            raise InvalidSettings(f"{setting} cannot be read", hint=hint) from None
        if parts.scheme not in _PORTS or not host:
            raise InvalidSettings(f"{setting} is no address of http or https", hint=hint)
        if parts.username is not None or parts.password is not None:
            raise InvalidSettings(f"{setting} holds a user or a password", hint="the signature proves who sends")
        path = _path(parts)
        if not (path.isascii() and path.isprintable() and " " not in path):
            raise InvalidSettings(f"{setting} holds characters that no address has", hint=hint)
        shown = f"[{host}]" if ":" in host else host
        authority = shown if port == _PORTS[parts.scheme] else f"{shown}:{port}"
        return cls(host, port, path, parts.scheme == "https", authority)


async def post(
    target: Target, body: bytes, headers: Sequence[tuple[str, str]], *, allows_private: bool, seconds: int
) -> None:
    """Post a body once. Raises AlertUndelivered unless the receiver answers with a status of 200 to 299 in time."""
    try:
        async with asyncio.timeout(seconds):
            address = await _checked_address(target, allows_private)
            status = await _exchange(target, address, body, headers)
    except TimeoutError:
        raise AlertUndelivered(f"the receiver did not answer within {seconds} s") from None
    except ssl.SSLError as error:
        raise AlertUndelivered(f"no secure connection: {error.reason or 'TLS failed'}") from None
    except OSError as error:
        raise AlertUndelivered(f"the receiver cannot be reached: {_cause(error)}") from None
    except h11.RemoteProtocolError:
        raise AlertUndelivered("the receiver does not speak HTTP") from None
    if 300 <= status < 400:
        raise AlertUndelivered(f"the receiver answered {status}; redirects are not followed")
    if not 200 <= status < 300:
        raise AlertUndelivered(f"the receiver answered {status}", is_gone=status == _GONE)


def is_public(address: Address) -> bool:
    """Tell whether an address belongs to the public internet; one that stands for another is judged as that."""
    if isinstance(address, ipaddress.IPv6Address) and (carried := _carried(address)) is not None:
        return is_public(carried)
    return (
        address.is_global
        and not (address.is_multicast or address.is_reserved or address.is_unspecified)
        and not any(address in closed for closed in _CLOSED)
    )


async def _checked_address(target: Target, allows_private: bool) -> str:
    """Resolve the name and give one of its addresses; a name with any address that is not public is refused."""
    found = await asyncio.get_running_loop().getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    addresses = [str(entry[4][0]) for entry in found]
    if not allows_private and not all(is_public(ipaddress.ip_address(each.partition("%")[0])) for each in addresses):
        raise AlertUndelivered("the receiver's name leads to an address that is not public", hint=_OPEN_TARGETS)
    return addresses[0]


async def _exchange(target: Target, address: str, body: bytes, headers: Sequence[tuple[str, str]]) -> int:
    """Send the request to the address and give the status of its answer, whose body nobody reads."""
    reader, writer = await asyncio.open_connection(
        address,
        target.port,
        ssl=ssl.create_default_context() if target.is_secure else None,
        server_hostname=target.host if target.is_secure else None,
        limit=_HEAD_BYTES_MAX,
    )
    try:
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_BYTES_MAX)
        sent = [("host", target.authority), ("content-length", str(len(body))), ("connection", "close"), *headers]
        request = h11.Request(method="POST", target=target.path, headers=sent)
        for event in (request, h11.Data(data=body), h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        await writer.drain()
        return await _status(connection, reader)
    finally:
        writer.transport.abort()


async def _status(connection: h11.Connection, reader: asyncio.StreamReader) -> int:
    read = 0
    while True:
        match connection.next_event():
            case h11.Response(status_code=status):
                return int(status)
            case h11.NEED_DATA:
                piece = await reader.read(_READ_BYTES)
                read += len(piece)
                if read > _HEAD_BYTES_MAX:
                    raise AlertUndelivered("the receiver's answer has too large a head")
                connection.receive_data(piece)
            case h11.ConnectionClosed():
                raise AlertUndelivered("the receiver closed the connection without an answer")
            case _:
                pass


def _carried(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """Give the IPv4 address that an IPv6 address stands for, mapped or by NAT64; tunnels are closed altogether."""
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped


def _cause(error: OSError) -> str:
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, ConnectionRefusedError):
        return "nobody listens there"
    if isinstance(error, ConnectionResetError):
        return "the connection was reset"
    return "the network does not lead there"


def _path(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
