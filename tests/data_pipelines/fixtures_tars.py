"""Tars as WebDataset's `TarWriter` and img2dataset write them."""

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 3  # formats do not decode images


def tar_bytes(members: Iterable[tarfile.TarInfo | tuple[str, bytes]], format: int = tarfile.USTAR_FORMAT) -> bytes:
    """A tar of files given by name and content, or of members of other kinds, with WebDataset's owner and mode."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w|", format=format) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            name, content = member
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uname, info.gname = len(content), 0o444, "bigdata", "bigdata"
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    """A link, a device, ..."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def about(number: int, **changes) -> dict:
    """The JSON that img2dataset writes for a pair."""
    return {
        "url": f"https://example.org/{number}.jpg?w=640",
        "caption": f"Caption {number}",
        "key": f"{number:09d}",
        "status": "success",
        "error_message": None,
        "width": 256,
        "height": 256,
        "original_width": 1024,
        "original_height": 768,
        "exif": "{}",
        "sha256": f"{number:064x}",
        **changes,
    }


def sample(number: int, image: bytes = JPEG, **changes) -> list[tuple[str, bytes]]:
    """The members of a pair: img2dataset's keys and indentation, WebDataset's order of endings."""
    caption = str(about(number, **changes)["caption"] or "")
    return members(
        f"{number:09d}",
        {"jpg": image, "txt": caption.encode(), "json": json.dumps(about(number, **changes), indent=4).encode()},
    )


def members(key: str, files: Mapping[str, bytes]) -> list[tuple[str, bytes]]:
    """The members of a sample in the order of their endings."""
    return [(f"{key}.{ending}", files[ending]) for ending in sorted(files)]


def write(path: Path, *samples: Iterable) -> Path:
    """Writes a tar of samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tar_bytes(member for one in samples for member in one))
    return path
