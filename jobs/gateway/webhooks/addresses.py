"""Which addresses a webhook may reach, checked when a connection is made, after the name was resolved.

A name may resolve to a private address, or to another one at each look. So the name is resolved here, every address that it has
is checked, and the connection goes to an address that was checked. Redirects are not followed.
"""

import ipaddress
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import httpcore2

from jobs.errors import RequestError

Resolver = Callable[[str, int], Sequence[str]]
Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")


class ForbiddenAddress(RequestError):
    """A webhook's host has an address that it may not reach."""


def resolved(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host. Raises OSError if it has none."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def is_allowed(text: str, networks: Sequence[str]) -> bool:
    """Whether a webhook may reach an address: a public one, or one of the networks of the setting."""
    address = _inner(ipaddress.ip_address(text.partition("%")[0]))
    if any(address in ipaddress.ip_network(network, strict=False) for network in networks):
        return True
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inner(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)


class CheckedBackend(httpcore2.NetworkBackend):
    """Connects to addresses that were checked, and ends each exchange by a deadline.

    Args:
        networks: The private networks that may be reached.
        limit_s: Seconds after which an exchange ends, however slowly its bytes come.
        resolve: Returns the addresses of a host.
    """

    def __init__(self, networks: Sequence[str], limit_s: float, resolve: Resolver = resolved) -> None:
        self._networks = networks
        self._limit_s = limit_s
        self._resolve = resolve
        self._inner = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address of a host. Raises ForbiddenAddress if the host has one that may not be reached."""
        until = time.monotonic() + self._limit_s
        try:
            addresses = self._resolve(host, port)
        except OSError as error:
            raise httpcore2.ConnectError(f"{host} has no address") from error
        wrong = [one for one in addresses if not is_allowed(one, self._networks)]
        if wrong or not addresses:
            raise ForbiddenAddress(
                f"{host} has the address {wrong[0] if wrong else 'of nothing'}, which webhooks may not reach: the setting "
                "gateway.webhook_networks allows private networks"
            )
        stream = self._inner.connect_tcp(addresses[0], port, timeout, local_address, socket_options)
        return _Until(stream, until)


class _Until(httpcore2.NetworkStream):
    """A stream that ends by a deadline."""

    def __init__(self, inner: httpcore2.NetworkStream, until: float) -> None:
        self._inner = inner
        self._until = until

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._left())

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        return _Until(self._inner.start_tls(ssl_context, server_hostname, self._left()), self._until)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the receiver did not answer in time")
        return left
