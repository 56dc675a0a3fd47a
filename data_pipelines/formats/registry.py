"""The formats that `python -m data_pipelines.convert` reads."""

from etils import epath

from data_pipelines.formats import coco, mmc4, obelics, pairs, plain_text, video_lists, webdataset
from data_pipelines.formats.conversion import Format

_PAIRS = {"unit": "pair", "whole": True}
_PAGES = {"unit": "document", "whole": False}


def _beside(root: str, folder: str) -> str:
    """The folder that an option names, else the one in which a list stands."""
    path = epath.Path(root)
    return folder or str(path if path.is_dir() else path.parent)


_ALL = (
    Format("pairs", "a folder of images with a .txt beside each", None, pairs.shards, pairs.read, **_PAIRS),
    Format(
        "clips",
        "lists of captioned clips: JSON, CSV, WebVid's, VATEX's, MSR-VTT's",
        video_lists.VideoListConfig,
        video_lists.shards,
        video_lists.read,
        unit="clip",
        whole=True,
        media=lambda root, options: _beside(root, options.videos),
    ),
    Format(
        "webdataset",
        "WebDataset tars and the output of img2dataset (LAION, CC3M, CC12M)",
        webdataset.WebDatasetConfig,
        webdataset.shards,
        webdataset.read,
        **_PAIRS,
    ),
    Format(
        "coco",
        "COCO's lists of captions, or Karpathy's",
        coco.CocoConfig,
        coco.shards,
        coco.read,
        media=lambda root, options: _beside(root, options.images),
        **_PAIRS,
    ),
    Format(
        "obelics",
        "OBELICS in Parquet files",
        obelics.ObelicsConfig,
        obelics.shards,
        obelics.read,
        **_PAGES,
    ),
    Format(
        "mmc4",
        "MMC4: JSON lines, or tars with the images",
        mmc4.Mmc4Config,
        mmc4.shards,
        mmc4.read,
        media=lambda root, options: options.images_folder,
        **_PAGES,
    ),
    Format(
        "text",
        "plain text: .txt, JSON lines or Parquet",
        plain_text.PlainTextConfig,
        plain_text.shards,
        plain_text.read,
        **_PAGES,
    ),
)
FORMATS = {form.name: form for form in _ALL}
