"""Changes members of a ZIP archive: all others keep their bytes, their order and their dates.

The standard library's `zipfile` reads the members and checks their sums; it cannot replace one. So the archive is cut at its
headers, as https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT describes them, and only changed members are packed anew.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Final

MAX_MEMBER_BYTES: Final = 128 << 20
"""A member that is read may have so many bytes when it is unpacked."""

_CENTRAL: Final = struct.Struct("<4s4B4H3I5H2I")
_LOCAL: Final = struct.Struct("<4s2B4H3I2H")
_END: Final = struct.Struct("<4s4H2IH")
_DESCRIPTOR_FOLLOWS, _ENCRYPTED = 8, 1


class NotArchive(ValueError):
    """A file is not a ZIP archive, or not one whose members can be changed. `str()` says why, as a clause."""


class Archive:
    """An archive in memory.

    Raises:
        NotArchive: It is damaged, encrypted, or has two members of one name.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, ValueError, struct.error, NotImplementedError) as error:
            raise NotArchive(f"it is not a valid ZIP archive: {error}") from None
        self._members = {one.filename: one for one in self._zip.infolist()}
        if len(self._members) != len(self._zip.infolist()):
            raise NotArchive("two of its members have one name")
        if any(one.flag_bits & _ENCRYPTED for one in self._members.values()):
            raise NotArchive("it is encrypted")

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def read(self, name: str) -> bytes:
        """Return a member. Raises NotArchive if it is missing, damaged, or larger than MAX_MEMBER_BYTES."""
        if name not in self._members:
            raise NotArchive(f"{name!r} is missing in it")
        if self._members[name].file_size > MAX_MEMBER_BYTES:
            raise NotArchive(f"{name!r} in it has more than {MAX_MEMBER_BYTES >> 20} MiB")
        try:
            return self._zip.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, struct.error) as error:
            raise NotArchive(f"{name!r} in it is damaged: {error}") from None

    def replaced(self, new: Mapping[str, bytes]) -> bytes:
        """Return the archive with new contents of members. Raises NotArchive if its headers cannot be rewritten."""
        start = self._zip.start_dir
        order = sorted(self._members.values(), key=lambda one: one.header_offset)
        ends = [*(one.header_offset for one in order[1:]), start]
        parts, places, size = [self._data[: order[0].header_offset if order else start]], dict[str, int](), 0
        size = len(parts[0])
        packed = {name: _packed(content) for name, content in new.items()}
        for one, end in zip(order, ends, strict=True):
            places[one.filename] = size
            raw = self._data[one.header_offset : end]
            made = _local(raw, new[one.filename], packed[one.filename]) if one.filename in new else raw
            parts.append(made)
            size += len(made)
        directory = b"".join(self._directory(start, places, new, packed))
        return b"".join([*parts, directory, self._end(size, len(directory))])

    def _directory(
        self, start: int, places: Mapping[str, int], new: Mapping[str, bytes], packed: Mapping[str, bytes]
    ) -> Iterator[bytes]:
        """Yield the records of the directory, with the new places, sizes and sums."""
        for one in self._zip.infolist():
            fields = list(_CENTRAL.unpack_from(self._data, start))
            length = _CENTRAL.size + sum(fields[12:15])
            if 0xFFFFFFFF in (fields[10], fields[11], fields[18]):
                raise NotArchive("it is a ZIP64 archive")
            if one.filename in new:
                fields[5] &= ~_DESCRIPTOR_FOLLOWS
                fields[6] = zipfile.ZIP_DEFLATED
                fields[9:12] = [zlib.crc32(new[one.filename]), len(packed[one.filename]), len(new[one.filename])]
            fields[18] = places[one.filename]
            yield _CENTRAL.pack(*fields) + self._data[start + _CENTRAL.size : start + length]
            start += length

    def _end(self, directory_at: int, directory_size: int) -> bytes:
        """Return the record that ends the archive, with its comment."""
        at = self._data.rindex(b"PK\x05\x06")
        fields = list(_END.unpack_from(self._data, at))
        fields[5:7] = [directory_size, directory_at]
        return _END.pack(*fields) + self._data[at + _END.size :]


def _packed(content: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


def _local(raw: bytes, content: bytes, packed: bytes) -> bytes:
    """Return a member with its header, from what it was."""
    fields = list(_LOCAL.unpack_from(raw))
    name = raw[_LOCAL.size : _LOCAL.size + fields[10]]
    fields[3] &= ~_DESCRIPTOR_FOLLOWS
    fields[4] = zipfile.ZIP_DEFLATED
    fields[7:12] = [zlib.crc32(content), len(packed), len(content), len(name), 0]
    return _LOCAL.pack(*fields) + name + packed
