"""Questions to a page's tree that one element alone cannot answer. The answers about all of it take linear time."""

from collections.abc import Iterable, Mapping

from selectolax.lexbor import LexborHTMLParser, LexborNode

from data_pipelines.m3w import boilerplate


def wrappers(tree: LexborHTMLParser) -> set[int]:
    """The elements (`mem_id`) that hold the page's content, whatever their own names say.

    They hold `main`, or, on a page without one, an `article` or a title (`h1`).
    """
    found = tree.css('main, [role="main"], article, h1')
    mains = [node for node in found if node.tag == "main" or node.attributes.get("role") == "main"]
    return _holders(mains or found)


def move_captions(tree: LexborHTMLParser) -> None:
    """Moves each `figcaption` that stands before its figure's first image to the figure's end."""
    captions = tree.css("figure > figcaption")
    if not captions:
        return
    with_image = _holders(tree.css("img"))
    for figure in {figure.mem_id: figure for caption in captions if (figure := caption.parent)}.values():
        if figure.mem_id not in with_image:
            continue
        early = []
        for child in figure.iter():
            if child.tag == "figcaption":
                early.append(child)
            elif child.mem_id in with_image:
                break
        else:
            continue
        for caption in early:
            figure.insert_child(caption, move=True)


def _holders(nodes: Iterable[LexborNode]) -> set[int]:
    """The nodes and everything that they lie in."""
    found: set[int] = set()
    for node in nodes:
        while node is not None and (identity := node.mem_id) not in found:
            found.add(identity)
            node = node.parent
    return found


def is_mark(link: LexborNode, attributes: Mapping[str, str | None]) -> bool:
    """Whether a link holds one piece of text and `boilerplate.is_mark` knows it."""
    target = attributes.get("href")
    if not target or target[0] != "#":
        return False
    child = link.first_child
    if child is None or not child.is_text_node or child.next is not None:
        return False
    return boilerplate.is_mark(child.text_content or "", raised=link.parent.tag == "sup")


def sources(image: LexborNode) -> list[Mapping[str, str | None]]:
    """The attributes of each `<source>` that a `<picture>` has for this image: between it and the image before."""
    if image.parent.tag != "picture":
        return []
    found = []
    node = image.prev
    while node is not None and node.tag != "img":
        if node.tag == "source":
            found.append(node.attributes)
        node = node.prev
    return found[::-1]


def holds_text(node: LexborNode) -> bool:
    """Whether there is more than white space in or below a node."""
    below = node.traverse(include_text=True, skip_empty=True)
    return any(text.strip() for child in below if (text := child.text_content))
