"""PNG files made smaller without touching a pixel."""

from __future__ import annotations

import struct
import zlib
from typing import Final

_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_LEVEL: Final = 9


def packed(picture: bytes) -> bytes:
    """The same picture with its pixels compressed as hard as zlib can.

    What draws our pictures compresses for speed; charts have large even areas, so this is worth a factor of
    2 to 6.

    >>> packed(b"not a picture")
    b'not a picture'
    """
    if not picture.startswith(_SIGNATURE):
        return picture
    head: list[bytes] = []
    pixels: list[bytes] = []
    tail: list[bytes] = []
    place = len(_SIGNATURE)
    while place < len(picture):
        (n_bytes,) = struct.unpack(">I", picture[place : place + 4])
        whole = picture[place : place + 12 + n_bytes]
        if whole[4:8] == b"IDAT":
            pixels.append(whole[8:-4])
        else:
            (tail if pixels else head).append(whole)
        place += len(whole)
    data = b"IDAT" + zlib.compress(zlib.decompress(b"".join(pixels)), _LEVEL)
    chunk = struct.pack(">I", len(data) - 4) + data + struct.pack(">I", zlib.crc32(data))
    return b"".join([_SIGNATURE, *head, chunk, *tail])
