"""WARC files made by hand, byte by byte after ISO 28500, so that the library that reads them is not its own oracle."""

import gzip
import mimetypes
from pathlib import Path
from urllib.parse import quote

DATE = "2021-06-01T12:00:00Z"


def response(url: str, body: bytes, kind: str, *, status: str = "200 OK", headers: str = "", date: str = DATE) -> bytes:
    """One response record."""
    http = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body
    return record("response", url, http, "application/http; msgtype=response", date)


def record(kind: str, url: str, block: bytes, content_type: str, date: str = DATE) -> bytes:
    """One record of any type."""
    head = (
        f"WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {url}\r\nWARC-Date: {date}\r\n"
        f"WARC-Record-ID: <urn:uuid:00000000-0000-0000-0000-{abs(hash((url, date))) % 10**12:012d}>\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(block)}\r\n\r\n"
    )
    return head.encode() + block + b"\r\n\r\n"


def of_folder(root: Path, site: str) -> list[bytes]:
    """A record for each file of a folder, as a crawler of `site` would have met it."""
    records = []
    for path in sorted(root.rglob("*")):
        if path.is_file():
            kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
            records.append(response(site + quote(path.relative_to(root).as_posix()), path.read_bytes(), kind))
    return records


def write(path: Path, records: list[bytes], *, compress: bool = True) -> Path:
    """The records in one file, each a gzip member of its own if compressed."""
    path.write_bytes(b"".join(gzip.compress(one, mtime=0) if compress else one for one in records))
    return path
