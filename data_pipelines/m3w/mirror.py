"""A folder of pages and images, as a crawler or a documentation package leaves it."""

import dataclasses
import os
from collections.abc import Iterator
from pathlib import Path

from data_pipelines import addresses, inputs
from data_pipelines.m3w import resolve
from data_pipelines.m3w.config import M3WConfig
from data_pipelines.m3w.page import Page
from data_pipelines.m3w.reading import read_page
from data_pipelines.output import BuildError
from data_pipelines.pipeline.sketch import Drop, Link, Medium, Reference

_SUFFIXES = (".html", ".htm", ".xhtml")


@dataclasses.dataclass(frozen=True)
class Mirror:
    """Reads the pages of a folder; nothing outside the folder is ever opened.

    Attributes:
      root: the folder.
      site: the address that the folder is a copy of, ending in a slash; pages and images are then known by their
        addresses, as in an archive of the site. "" if it is not known: by their paths.
    """

    root: Path
    site: str = ""

    def __post_init__(self):
        if self.site and not (self.site.endswith("/") and addresses.absolute(self.site, None, "") == self.site):
            raise BuildError(
                f"--site {self.site}: must be an address such as https://example.org/docs/, with a / at its end"
            )

    def pages(self, files: list[str]) -> list[bytes]:
        """The pages among the files below the folder, in order; as bytes, for names of files need not be text.

        Raises:
          BuildError: there is none.
        """
        found = [name for name in files if name.lower().endswith(_SUFFIXES)]
        if not found:
            raise BuildError(f"--input {self.root} has no page: no file ends in {', '.join(_SUFFIXES)}")
        return [os.fsencode(name) for name in found]

    def name(self, path: str) -> str:
        """What the file at `path` below the folder is known by."""
        return addresses.of_file(self.site, path) if self.site else path

    def read(self, encoded_path: bytes, config: M3WConfig) -> Iterator[Page | Drop]:
        """The page at a path, and what was dropped of it."""
        try:
            path = encoded_path.decode()
        except UnicodeDecodeError:
            yield Drop("file_name_undecodable", "page", encoded_path.decode(errors="backslashreplace"))
            return
        key = self.name(path)
        if not inputs.is_inside(self.root, self.root / path):
            yield Drop("page_outside_input", "page", key)
            return
        try:
            encoded = (self.root / path).read_bytes()
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            yield Drop("page_unreadable", "page", key)
            return
        yield from read_page(key, encoded, config, lambda base, urls: self._locate(path, base, urls))

    def _locate(self, page: str, base: str | None, urls: tuple[str, ...]) -> Medium | Link | str:
        """The first address that is a file of the folder; else those on the web; else why the first one is neither."""
        refusal, elsewhere = "", []
        for url in urls:
            found = self._resolve(page, base, url)
            if not found.rule and (rule := resolve.check_file(self.root, found.source)):
                found = resolve.Resolved(rule=rule)
            if not found.rule:
                return Medium("image", self.name(found.source), Reference(str(self.root / found.source)))
            refusal = refusal or found.rule
            if address := addresses.absolute(addresses.of_file(self.site, page) if self.site else "", base, url):
                elsewhere.append(address)
        return Link("image", tuple(dict.fromkeys(elsewhere))) if elsewhere else refusal or "image_missing"

    def _resolve(self, page: str, base: str | None, url: str) -> resolve.Resolved:
        if not self.site:
            return resolve.relative_path(page, base, url)
        address = addresses.absolute(addresses.of_file(self.site, page), base, url)
        if not address.startswith(self.site):
            return resolve.Resolved(rule="image_not_local")
        return resolve.relative_path("", None, "/" + address.removeprefix(self.site))
