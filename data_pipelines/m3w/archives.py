"""Pages and images in WARC files, as web archives and crawlers keep them."""

import dataclasses
from collections.abc import Iterable, Iterator

import apache_beam as beam
from etils import epath
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

from data_pipelines import addresses
from data_pipelines.containers import damage
from data_pipelines.fetching import sniffing
from data_pipelines.m3w import pages
from data_pipelines.m3w.config import M3WConfig
from data_pipelines.m3w.page import Page
from data_pipelines.m3w.reading import on_the_web, read_page
from data_pipelines.pipeline.flow import Flow
from data_pipelines.pipeline.sketch import WARC, Drop, Reference

_PAGE_TYPES = ("text/html", "application/xhtml+xml")
_HEAD = 32  # bytes that tell an image
_RECORDS = WarcRecordType.response | WarcRecordType.resource


@dataclasses.dataclass(frozen=True, slots=True)
class Capture:
    """One page or image as it was at one time.

    Attributes:
      url: its address, without fragment.
      date: when, in ISO 8601: of several captures the latest counts.
      reference: where it is.
      content: of a page, what came of reading it; None for an image.
    """

    url: str
    date: str
    reference: Reference
    content: tuple[Page | Drop, ...] | None

    @property
    def order(self) -> tuple:
        """Captures of one address sort by this; the last one is the one to keep."""
        return self.date, self.reference.path, self.reference.offset


def read(path: str, config: M3WConfig) -> Iterator[Capture | Drop]:
    """The pages and images of one WARC file, in one pass; pages are extracted on the way.

    Responses other than 200, records of other types, and payloads that are neither pages nor images are passed over:
    they are most of an archive, and no rule of ours drops them. A file that is damaged gives what stands before.

    Raises:
      OSError: the file cannot be read; another try may succeed.
    """
    try:
        with epath.Path(path).open("rb") as file:
            for record in ArchiveIterator(file, record_types=_RECORDS, parse_http=True, auto_decode="all"):
                yield from _capture(path, record, config)
    except OSError as error:
        yield Drop("archive_damaged", "document", f"{path}: {damage.explain(error)}")


def _capture(path: str, record: WarcRecord, config: M3WConfig) -> Iterator[Capture]:
    http = record.http_headers
    if http is not None and http.status_code != 200:
        return
    kind = (record.http_content_type if http is not None else record.headers.get("Content-Type")) or ""
    kind = kind.partition(";")[0].strip().lower()
    url = addresses.absolute((record.headers.get("WARC-Target-URI") or "").strip("<>"), None, "")
    content = None
    if not url:
        return
    if kind in _PAGE_TYPES:
        encoded = record.reader.read(pages.MAX_PAGE_BYTES + 1)
        content = tuple(read_page(url, encoded, config, on_the_web(url)))
    elif sniffing.image(record.reader.read(_HEAD)) is None:  # types of images are often wrong
        return
    reference = Reference(path, WARC, record.stream_pos)
    yield Capture(url, record.headers.get("WARC-Date") or "", reference, content)


def pages_and_images(flow: Flow, captures: beam.PCollection) -> tuple[beam.PCollection, beam.PCollection]:
    """The newest `Page` of each address, and (address, `Capture`) of every image."""
    is_page = captures | "pages or images" >> beam.Partition(lambda capture, _: int(capture.content is None), 2)
    pages, images = (
        some | f"addresses of {name}" >> beam.Map(lambda capture: (capture.url, capture))
        for some, name in zip(is_page, ("pages", "images"), strict=True)
    )
    newest = flow.stage("newest captures", pages | "captures of an address" >> beam.GroupByKey(), _newest)
    return newest, images


def _newest(element: tuple[str, Iterable[Capture]]) -> Iterator[Page | Drop]:
    url, captures = element
    *older, newest = sorted(captures, key=lambda capture: capture.order)
    yield from newest.content
    if older:
        yield Drop("page_captured_again", "page", url, count=len(older))
