"""Which internet addresses may be asked: public ones, judged on the address that a socket is about to connect to.

Whoever wrote a page chose its links. One that leads to 127.0.0.1, to a router, or to a cloud's metadata service would
make this program ask, from behind the firewall, for what its author cannot see. Names are no protection: they can
resolve to anything, and to something else at the second look.
"""

import ipaddress
import socket
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_4, _6 = ipaddress.IPv4Network, ipaddress.IPv6Network
# What some versions of `ipaddress` call global, but is no host of the public web (IANA special-purpose registry).
_SPECIAL_4 = (
    _4("192.0.0.0/24"),  # protocol assignments; Oracle's metadata service among them
    _4("192.88.99.0/24"),  # former 6to4 relays
    _4("168.63.129.16/32"),  # Azure's platform services: a public number that answers each virtual machine
)
_UNICAST_6 = _6("2000::/3")  # all that is handed out to hosts so far
_SPECIAL_6 = (_6("2001::/23"), _6("2001:db8::/32"), _6("3fff::/20"))  # protocols (Teredo, ORCHID), documentation
_6TO4, _NAT64 = _6("2002::/16"), _6("64:ff9b::/96")


class PrivateAddress(OSError):
    """A socket was about to connect to an address that is not public.

    The message is always the same: of several failed addresses of a host, aiohttp keeps the type only if their messages
    are equal.
    """

    def __init__(self):
        super().__init__("the address is not public")


def is_public(address: Address) -> bool:
    """Whether an address belongs to a host of the public internet.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, NAT64) is judged by that.
    """
    address = _unmapped(address)
    if isinstance(address, ipaddress.IPv4Address):
        special = address.is_multicast or address.is_reserved or any(address in network for network in _SPECIAL_4)
        return address.is_global and not special
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if address in _6TO4:
        return is_public(ipaddress.IPv4Address(int(address) >> 80 & 0xFFFFFFFF))
    special = any(address in network for network in _SPECIAL_6)
    return address in _UNICAST_6 and address.is_global and not special


def literal(host: str) -> Address | None:
    """The address that a URL's host is, in any spelling that systems take (`127.1`, `0x7f000001`); None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


class Gate:
    """Lets sockets to public addresses pass, and to networks that the user names."""

    def __init__(self, allowed: Iterable[str] = ()):
        """
        Args:
          allowed: networks that may be asked although they are not public.
        """
        self._allowed = tuple(ipaddress.ip_network(network) for network in allowed)

    def passes(self, address: Address) -> bool:
        """Whether an address may be asked."""
        plain = _unmapped(address)
        return is_public(plain) or any(plain in network for network in self._allowed)

    def socket(self, address_info: tuple) -> socket.socket:
        """Makes the socket for one result of `getaddrinfo`: the socket factory of a connector.

        Raises:
          PrivateAddress: it may not be asked.
        """
        family, kind, protocol, _, address = address_info
        if not self.passes(ipaddress.ip_address(address[0])):
            raise PrivateAddress
        return socket.socket(family, kind, protocol)


def _unmapped(address: Address) -> Address:
    return getattr(address, "ipv4_mapped", None) or address
