"""A gallery of image files as the web has them: odd, broken and hostile; all made by code.

Each `Specimen` says what the corpus builder and the loader have to do with it. Most show `PICTURE`, four fields of
plain colour, so that a wrong turn, a wrong order of channels or a wrong polarity moves a colour.
"""

import dataclasses
import functools
import io
import warnings
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, features

from tests import hostile_bytes as raw

WIDTH, HEIGHT = 128, 96
SIZE = (WIDTH, HEIGHT)
RED, GREEN, BLUE, YELLOW, WHITE = (230, 20, 40), (30, 200, 60), (20, 40, 220), (240, 220, 30), (255, 255, 255)
_PLACES = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
_MEBIBYTE = 1 << 20

Colour = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class Specimen:
    """One file.

    Attributes:
      name: what it is.
      make: gives its bytes.
      rule: what drops it in a build with the default `ImageRules`; "" if nothing does.
      loads: whether the loader decodes it; it raises `MediaError` otherwise.
      shows: colours of the loaded image, by place (fractions of width and height).
      tolerance: how far a channel may be off, out of 255.
    """

    name: str
    make: Callable[[], bytes]
    rule: str = ""
    loads: bool = True
    shows: dict[tuple[float, float], Colour] = dataclasses.field(default_factory=dict)
    tolerance: int = 1

    @functools.cached_property
    def encoded(self) -> bytes:
        """The bytes, made once."""
        return self.make()


def fields(*values) -> np.ndarray:
    """An array [HEIGHT, WIDTH, ...] whose quarters have these values: above left and right, below left and right."""
    rows, columns = np.arange(HEIGHT) * 2 // HEIGHT, np.arange(WIDTH) * 2 // WIDTH
    return np.asarray(values)[rows[:, None] * 2 + columns[None, :]]


def shows(*colours: Colour | int) -> dict[tuple[float, float], Colour]:
    """What `Specimen.shows` says of an image of four fields; a number is a grey."""
    return {
        place: (colour,) * 3 if isinstance(colour, int) else colour
        for place, colour in zip(_PLACES, colours, strict=True)
    }


PICTURE = fields(RED, GREEN, BLUE, YELLOW).astype(np.uint8)
AS_PICTURE = shows(RED, GREEN, BLUE, YELLOW)
OTHER = Image.fromarray(np.ascontiguousarray(PICTURE[::-1]))
# 16-bit greys, darkest first, and their upper bytes.
DEEP = fields(0x1000, 0x5555, 0xA0FF, 0xF001).astype(np.uint16)
AS_DEEP = shows(0x10, 0x55, 0xA0, 0xF0)
# Percentages of ink would be too round: these are 255 parts of cyan, magenta, yellow and black.
INKS = fields((0, 240, 200, 20), (210, 0, 190, 40), (230, 200, 0, 10), (10, 20, 230, 5)).astype(np.uint8)


def _print(cyan: int, magenta: int, yellow: int, black: int) -> Colour:
    """What inks leave of white light, channel by channel: the usual conversion without a colour profile."""
    return tuple(round((255 - ink) * (255 - black) / 255) for ink in (cyan, magenta, yellow))


AS_INKS = shows(*(_print(*(int(ink) for ink in INKS[y, x])) for y, x in ((0, 0), (0, -1), (-1, 0), (-1, -1))))


def saved(pixels: np.ndarray | Image.Image, kind: str, mode: str | None = None, **options) -> bytes:
    """A file of an array or an image, converted to `mode`."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(pixels)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(**options) -> bytes:
    """`PICTURE` as a JPEG file."""
    return saved(PICTURE, "JPEG", quality=95, **options)


def png(before: tuple[bytes, ...] = (), after: tuple[bytes, ...] = ()) -> bytes:
    """`PICTURE` as a PNG file, with chunks before and after its pixels."""
    return raw.png(SIZE, 8, 2, map(bytes, PICTURE), before=before, after=after)


def _cut(encoded: bytes, share: float) -> bytes:
    return encoded[: round(len(encoded) * share)]


def _animated(kind: str, **options) -> bytes:
    return saved(PICTURE, kind, save_all=True, append_images=[OTHER], **options)


def _cmyk_jpeg() -> bytes:
    """As Photoshop writes it and Pillow does: with Adobe's segment, 255 for no ink."""
    return saved(Image.frombytes("CMYK", SIZE, INKS.tobytes()), "JPEG", quality=95, subsampling=0)


def _ycck_jpeg() -> bytes:
    """Adobe's other form: luma and chroma (BT.601) of the coloured inks, and black as in CMYK."""
    cyan, magenta, yellow, black = np.moveaxis(INKS.astype(float), -1, 0)
    luma = 0.299 * cyan + 0.587 * magenta + 0.114 * yellow
    channels = [luma, 128 + (yellow - luma) / 1.772, 128 + (cyan - luma) / 1.402, 255 - black]
    # Pillow inverts what it writes as CMYK.
    pixels = 255 - np.stack(channels, -1).round().clip(0, 255).astype(np.uint8)
    encoded = saved(Image.frombytes("CMYK", SIZE, pixels.tobytes()), "JPEG", quality=95, subsampling=0)
    return raw.with_ycck_numbers(raw.with_adobe_transform(encoded, 2))


def _transparent_palette() -> bytes:
    image = Image.fromarray(PICTURE).quantize(4)
    hidden = image.getpixel((0, 0))
    return saved(image, "PNG", transparency=hidden)


def _hidden_quarters(mode: str) -> bytes:
    """The quarters above are opaque, those below are not seen at all."""
    alpha = fields(255, 255, 0, 0).astype(np.uint8)[..., None]
    colours = PICTURE if mode == "RGBA" else PICTURE[..., 1:2]
    return saved(Image.frombytes(mode, SIZE, np.concatenate([colours, alpha], -1).tobytes()), "PNG")


def _turned(kind: str, orientation: int) -> bytes:
    """What a camera held in this way stores, so that the picture is `PICTURE` (EXIF 2.32, section 4.6.4)."""
    stored = {
        1: PICTURE,
        2: PICTURE[:, ::-1],
        3: PICTURE[::-1, ::-1],
        4: PICTURE[::-1],
        5: PICTURE.transpose(1, 0, 2),
        6: np.rot90(PICTURE, 1),
        7: PICTURE[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(PICTURE, -1),
    }[orientation]
    stored = np.ascontiguousarray(stored)
    if kind == "TIFF":
        return raw.tiff(stored.shape[1::-1], [8] * 3, 2, stored.tobytes(), more=[(274, orientation)])
    exif = Image.Exif()
    exif[274] = orientation
    return saved(stored, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))


def _deep_png(colour_type: int, pixels: np.ndarray) -> bytes:
    return raw.png(SIZE, 16, colour_type, (row.astype(">u2").tobytes() for row in pixels))


def _deep_tiff(order: str, photometric: int = 1) -> bytes:
    levels = DEEP if photometric else 65535 - DEEP
    return raw.tiff(SIZE, [16], photometric, levels.astype(order + "u2").tobytes(), order=order)


def _many_scans() -> bytes:
    """A progressive JPEG whose last scan comes a thousand times: each is a pass over all pixels."""
    encoded = jpeg(progressive=True)
    tables = encoded.rindex(b"\xff\xc4")
    return encoded[:-2] + encoded[tables:-2] * 1000 + b"\xff\xd9"


def _large_png(width: int, height: int, depth: int, colour_type: int = 0) -> bytes:
    row = bytes(width * depth // 8)
    return raw.png((width, height), depth, colour_type, (row for _ in range(height)))


def _transparent_and_large() -> bytes:
    rows = (bytes((y // 8 % 256, 80, 160, 128)) * 5000 for y in range(5000))
    return raw.png((5000, 5000), 8, 6, rows)


@functools.cache
def _zeros() -> bytes:
    return raw.deflated_zeros(100 * _MEBIBYTE)


def _text_bomb(kind: bytes, head: bytes) -> bytes:
    return raw.png_chunk(kind, head + _zeros())


def _web() -> Iterator[Specimen]:
    """What a build keeps."""
    whole = functools.partial(Specimen, shows=AS_PICTURE)
    lossy = functools.partial(whole, tolerance=6)
    yield whole("RGB PNG", png)
    yield whole("BMP", lambda: saved(PICTURE, "BMP"))
    yield whole("GIF", lambda: saved(PICTURE, "GIF"))
    yield whole("palette", lambda: saved(Image.fromarray(PICTURE).quantize(4), "PNG"))
    yield whole("palette with a transparent colour", _transparent_palette, shows=shows(WHITE, GREEN, BLUE, YELLOW))
    yield whole("RGBA", lambda: _hidden_quarters("RGBA"), shows=shows(RED, GREEN, WHITE, WHITE))
    yield whole("LA", lambda: _hidden_quarters("LA"), shows=shows(20, 200, WHITE, WHITE))
    yield whole("grey", lambda: saved(PICTURE[..., 0], "PNG"), shows=shows(230, 30, 20, 240))
    yield whole(
        "1-bit", lambda: saved(fields(0, 255, 255, 0).astype(np.uint8), "PNG", "1"), shows=shows(0, 255, 255, 0)
    )
    yield whole("16-bit grey PNG", lambda: _deep_png(0, DEEP), shows=AS_DEEP)
    yield whole("16-bit RGB PNG", lambda: _deep_png(2, PICTURE.astype(np.uint16) * 257))
    yield whole("animated GIF", lambda: _animated("GIF", duration=100))
    yield whole("animated PNG", lambda: _animated("PNG", duration=100))
    yield lossy("animated WebP", lambda: _animated("WEBP", duration=100))
    yield whole("TIFF of two pages", lambda: _animated("TIFF"))
    yield whole("TIFF that is its own next page", lambda: raw.tiff(SIZE, [8] * 3, 2, PICTURE.tobytes(), next_page=8))
    yield whole("16-bit TIFF of Intel's order", lambda: _deep_tiff("<"), shows=AS_DEEP)
    yield whole("16-bit TIFF of Motorola's order", lambda: _deep_tiff(">"), shows=AS_DEEP)
    yield whole("16-bit TIFF where white is zero", lambda: _deep_tiff("<", photometric=0), shows=AS_DEEP)
    yield whole("CMYK TIFF", lambda: raw.tiff(SIZE, [8] * 4, 5, INKS.tobytes()), shows=AS_INKS)
    yield lossy("JPEG", jpeg)
    yield lossy("progressive JPEG", lambda: jpeg(progressive=True))
    yield lossy("grey JPEG", lambda: saved(PICTURE[..., 0], "JPEG"), shows=shows(230, 30, 20, 240))
    yield lossy("CMYK JPEG of Adobe's polarity", _cmyk_jpeg, shows=AS_INKS)
    yield lossy("CMYK JPEG without Adobe's segment", lambda: raw.without_segment(_cmyk_jpeg(), 0xEE), shows=AS_INKS)
    yield lossy("YCCK JPEG", _ycck_jpeg, shows=AS_INKS)
    yield lossy("MPO of a stereo camera", lambda: _animated("MPO", quality=95))
    yield lossy("JPEG with garbage after its end", lambda: jpeg() + b"<html>" * 500)
    yield lossy("JPEG with a broken colour profile", lambda: raw.with_segment(jpeg(), 0xE2, b"ICC_PROFILE\0\1\3junk"))
    yield whole("PNG with a broken colour profile", lambda: png((raw.png_chunk(b"iCCP", b"x\0\0not zlib"),)))
    yield whole("PNG with a wrong checksum of its pixels", lambda: _recount(png(), b"IDAT"))
    yield whole("PNG without an end", lambda: png()[:-12])
    yield whole("PNG with 50 MB of pixels too many", _overlong)
    yield Specimen("PNG, large and transparent", _transparent_and_large)
    if features.check("avif"):
        yield lossy("AVIF", lambda: saved(PICTURE, "AVIF"))
        yield lossy("AVIF, turned", lambda: _turned("AVIF", 6))
    for orientation in range(1, 9):
        yield lossy(f"JPEG of orientation {orientation}", functools.partial(_turned, "JPEG", orientation))
        yield whole(f"TIFF of orientation {orientation}", functools.partial(_turned, "TIFF", orientation))
    yield whole("PNG of orientation 6", lambda: _turned("PNG", 6))
    yield lossy("WebP of orientation 8", lambda: _turned("WEBP", 8))
    for what, exif in raw.BROKEN_EXIF.items():
        yield lossy(f"JPEG with {what}", lambda exif=exif: raw.with_segment(jpeg(), 0xE1, b"Exif\0\0" + exif))
        yield whole(f"PNG with {what}", lambda exif=exif: png((raw.png_chunk(b"eXIf", exif),)))


def _recount(encoded: bytes, kind: bytes) -> bytes:
    """A PNG file with a wrong checksum of one chunk."""
    at = encoded.index(kind)
    end = at + 4 + int.from_bytes(encoded[at - 4 : at], "big")
    return encoded[:end] + b"\0bad" + encoded[end + 4 :]


def _overlong() -> bytes:
    rows = [*map(bytes, PICTURE), *[bytes(_MEBIBYTE)] * 50]
    return raw.png(SIZE, 8, 2, rows)


def _broken() -> Iterator[Specimen]:
    """What neither a build nor the loader can use."""
    bad = functools.partial(Specimen, rule="image_undecodable", loads=False)
    yield bad("empty file", bytes, rule="image_empty")
    yield bad("HTML called .jpg", lambda: b"<!DOCTYPE html><html><title>404 Not Found</title></html>")
    yield bad("SVG", lambda: b'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="90"/>', rule="image_vector")
    yield bad("EPS", lambda: raw.EPS)
    yield bad("EPS by Pillow", lambda: saved(PICTURE, "EPS"))
    yield bad("ICO", lambda: saved(PICTURE, "ICO"))
    yield bad("PDF", lambda: b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    yield bad("zeros", lambda: bytes(5000))
    yield bad("float TIFF", lambda: raw.tiff(SIZE, [32], 1, (DEEP / 65535).astype("<f4").tobytes(), sample_format=3))
    yield bad("32-bit TIFF", lambda: raw.tiff(SIZE, [32], 1, (DEEP.astype("<u4") << 16).tobytes()))
    yield bad("PNG with a wrong checksum of its header", lambda: _recount(png(), b"IHDR"))
    yield bad("PNG of no width", lambda: raw.png((0, 96), 8, 2, []))
    for end in (2, 20, 200, 500):
        yield bad(f"JPEG, first {end} bytes", lambda end=end: jpeg()[:end])
    for share in (0.7, 0.99):
        yield bad(f"JPEG, {share:.0%}", lambda share=share: _cut(jpeg(), share))
    yield bad("progressive JPEG, 60%", lambda: _cut(jpeg(progressive=True), 0.6))
    yield bad("JPEG without its last byte", lambda: jpeg()[:-1])
    for end in (8, 30, 45):
        yield bad(f"PNG, first {end} bytes", lambda end=end: png()[:end])
    yield bad("PNG, 60%", lambda: _cut(png(), 0.6))
    for kind in ("GIF", "WEBP", "TIFF", "BMP"):
        yield bad(f"{kind}, 60%", lambda kind=kind: _cut(saved(PICTURE, kind), 0.6))


def _bombs() -> Iterator[Specimen]:
    """Small files that want much memory or time."""
    bomb = functools.partial(Specimen, rule="image_too_many_pixels", loads=False)
    yield bomb("PNG of 50,000 x 50,000", lambda: _large_png(50_000, 50_000, 1))
    yield bomb("PNG of 168 megapixels", lambda: _large_png(14_000, 12_000, 8))
    yield bomb("JPEG that says 65,500 x 65,500", lambda: raw.with_jpeg_size(jpeg(), 65_500, 65_500))
    yield bomb("GIF that says 65,535 x 65,535", lambda: raw.with_gif_screen(saved(PICTURE, "GIF"), 65_535, 65_535))
    yield bomb("BMP that says 30,000 x 30,000", lambda: raw.with_bmp_size(saved(PICTURE, "BMP"), 30_000, 30_000))
    yield bomb("TIFF that says 100,000 x 100,000", lambda: raw.tiff((100_000,) * 2, [8] * 3, 2, PICTURE.tobytes()))
    yield bomb("WebP that says 16,383 x 16,383", lambda: raw.with_webp_canvas(_animated("WEBP"), 16_383, 16_383))
    row = np.arange(65_500, dtype=np.uint8)[None]
    yield Specimen("JPEG of 65,500 x 1", lambda: saved(row, "JPEG"), rule="image_too_small")
    yield Specimen("JPEG of a thousand scans", _many_scans, rule="image_too_many_scans")
    for kind, head in ((b"zTXt", b"Comment\0\0"), (b"iCCP", b"profile\0\0"), (b"iTXt", b"Comment\0\1\0\0\0")):
        chunk = functools.partial(_text_bomb, kind, head)
        name = f"PNG with 100 MB of {kind.decode()}"
        yield bomb(name, lambda chunk=chunk: png((chunk(),)), rule="image_undecodable")
        yield bomb(f"{name} at its end", lambda chunk=chunk: png((), (chunk(),)), rule="image_undecodable")
    if features.check("avif"):
        resized = functools.partial(raw.with_avif_size, width=60_000, height=60_000)
        yield bomb("AVIF that says 60,000 x 60,000", lambda: resized(saved(PICTURE, "AVIF")), rule="image_undecodable")


GALLERY = {specimen.name: specimen for specimen in (*_web(), *_broken(), *_bombs())}
