"""Where fetched bytes lie: found from the address alone, so that any worker can look without an index.

    STORE/image/3f/a1/<SHA-256 of the address>.json    how the fetch ended
    STORE/image/3f/a1/<SHA-256 of the address>.bytes   what was fetched, if anything was
    STORE/image/incomplete/                            what a running or a killed fetch has not finished

Images and pages lie apart: an address that is no image may be a page. Nothing here tells when it was fetched, so two
fetches of the same things give equal stores.
"""

import hashlib
import json
import time
import uuid

from etils import epath

from data_pipelines import addresses
from data_pipelines.pipeline.sketch import Reference

KINDS = ("image", "page")
_LEFTOVER_SECONDS = 24 * 3600  # no file takes a day to write; what is older was left by a killed run


class ImageStore:
    """The fetched bytes, or the lasting refusals, of addresses. May be used by many threads and processes at once."""

    def __init__(self, folder: epath.PathLike, kind: str = "image"):
        """
        Args:
          folder: the store; may be `gs://`, and need not exist.
          kind: "image" or "page".

        Raises:
          ValueError: an unknown kind.
        """
        if kind not in KINDS:
            raise ValueError(f"unknown kind {kind!r}; known: {', '.join(KINDS)}")
        self.kind = kind
        self._folder = epath.Path(folder) / kind
        self._is_local = "://" not in str(self._folder)

    def lookup(self, url: str) -> Reference | str | None:
        """What is known of an address.

        Args:
          url: as it was given to the fetcher; white space around it and its fragment do not matter.

        Returns:
          Where the bytes are; the rule that refused the address for good; or None if it was never fetched, if its fetch
          failed in a way that may pass, or if what the store says of it is damaged.

        Raises:
          OSError: the store cannot be read.
        """
        record = self._path(url, "json")
        try:
            known = json.loads(record.read_text())
        except (FileNotFoundError, ValueError, RecursionError):
            return None
        match known:
            case {"rule": str(rule)}:
                return rule
            case {"bytes": int()}:
                return Reference(str(self._path(url, "bytes")))
        return None

    def put(self, url: str, content: bytes, *, final_url: str, status: int, mime: str) -> Reference:
        """Keeps what was fetched.

        Args:
          url: as it was given.
          content: at least one byte.
          final_url: the address after redirects.
          status: of the HTTP answer.
          mime: the type, told by the bytes.

        Returns:
          Where the bytes are.

        Raises:
          ValueError: nothing to keep.
          OSError: the store cannot be written.
        """
        if not content:
            raise ValueError(f"{url}: nothing to keep")
        path = self._path(url, "bytes")
        self._write(path, content)  # first the bytes: who finds the record finds them
        self._record(url, {"final_url": final_url, "status": status, "type": mime, "bytes": len(content)})
        return Reference(str(path))

    def refuse(self, url: str, rule: str) -> None:
        """Remembers why an address will never bring anything.

        Raises:
          OSError: the store cannot be written.
        """
        self._record(url, {"rule": rule})

    def sweep(self) -> None:
        """Removes what killed runs have left, once it is a day old."""
        if not self._is_local:
            return
        for left in (self._folder / "incomplete").glob("*"):
            try:
                if left.stat().mtime < time.time() - _LEFTOVER_SECONDS:
                    left.unlink()
            except FileNotFoundError:
                continue  # another process has finished or swept it

    def _path(self, url: str, ending: str) -> epath.Path:
        # As builders write addresses; what is none has a place too, for it may have been refused.
        address = addresses.absolute(url, None, "") or url.strip().partition("#")[0]
        name = hashlib.sha256(address.encode(errors="surrogatepass")).hexdigest()
        return self._folder / f"{name[:2]}/{name[2:4]}/{name}.{ending}"

    def _record(self, url: str, what: dict) -> None:
        address = url.strip().encode(errors="replace").decode()
        text = json.dumps({"url": address, **what}, indent=1, ensure_ascii=False) + "\n"
        self._write(self._path(url, "json"), text.encode())

    def _write(self, path: epath.Path, content: bytes) -> None:
        """Writes a file that appears complete or not at all."""
        if not self._is_local:
            path.write_bytes(content)  # an object of a bucket appears when its upload ends
            return
        incomplete = self._folder / "incomplete" / uuid.uuid4().hex
        try:
            try:
                incomplete.write_bytes(content)
            except FileNotFoundError:
                incomplete.parent.mkdir(parents=True, exist_ok=True)
                incomplete.write_bytes(content)
            try:
                incomplete.replace(path)
            except FileNotFoundError:
                path.parent.mkdir(parents=True, exist_ok=True)
                incomplete.replace(path)
        except BaseException:
            incomplete.unlink(missing_ok=True)
            raise
