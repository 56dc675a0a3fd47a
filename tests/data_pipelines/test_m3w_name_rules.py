"""Names of images: words at word boundaries in the last parts of the path."""

import pytest

from data_pipelines.m3w import name_rules
from data_pipelines.m3w.name_rules import NameRules

RULES = NameRules()


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/logo.png",
        "https://example.org/a/site-logo_2x.png",
        "https://example.org/LOGO.GIF",
        "https://example.org/siteLogo.svg",
        "https://example.org/PNGIcon.png",
        "https://example.org/icon64.png",
        "https://example.org/icons/arrow.png",
        "https://example.org/favicon.ico",
        "https://example.org/subscribe%20button.png",
        "https://example.org/share.button.png?v=3",
        "https://example.org/widgets/weather/",
        "https://example.org/plugin",
        "img/toolbar-icon.png",
        "../icons/house.png",
        r"img\icons\house.png",
    ],
)
def test_names_of_the_site(url):
    assert name_rules.reason([url], RULES) == "image_name_unwanted"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/iconic-bridge.jpg",
        "https://example.org/catalogo/4.jpg",
        "https://example.org/lexicon.png",
        "https://example.org/silicon-valley.jpg",
        "https://example.org/buttonwood-tree.jpg",
        "https://example.org/logotype-history.png",
        "https://example.org/iconiță.png",
        "https://logo.example.org/photo.jpg",
        "https://example.org/plugins/gallery/2021/cat.jpg",  # further up than the folder
        "https://example.org/photo.jpg?size=icon#logo",
        "data:image/png;base64,icon/logo+widget",
        "https://[broken/logo.png",
        "",
    ],
)
def test_other_names(url):
    assert name_rules.reason([url], RULES) is None


def test_one_of_several_addresses_is_enough():
    urls = ["https://example.org/large/photo.jpg", "https://example.org/icon/photo.jpg"]
    assert name_rules.reason(urls, RULES) == "image_name_unwanted"
    assert name_rules.reason(urls[:1], RULES) is None and name_rules.reason([], RULES) is None


def test_the_words_and_the_depth_are_options():
    url = "https://example.org/icons/banner.png"
    assert name_rules.reason([url], NameRules(segments=1)) is None
    assert name_rules.reason([url], NameRules(words=("banner",), segments=1)) == "image_name_unwanted"
    assert name_rules.reason([url], NameRules(words=())) is None
    assert name_rules.reason([url], NameRules(segments=0)) is None


def test_words():
    assert name_rules.words("http://x.org/a/My%20PNGIcon2x_oldLogo.png", 1) == {"my", "png", "icon", "x", "old", "logo"}
