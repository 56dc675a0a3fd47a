"""The resolved configuration of the run, folded away, one table per part."""

import json
from typing import Any

from flamingo_jax.html.markup import Html, absent, details, section, tag

_GENERAL = "general"


def configuration(config: dict[str, Any] | None) -> Html:
    """The section "Configuration"."""
    title = "Configuration"
    if config is None:
        return section("configuration", title, absent("There is no config.json in the run's directory."))
    groups: dict[str, list[tuple[str, str]]] = {}
    for name, value in config.items():
        if isinstance(value, dict) and value:
            groups[str(name)] = list(_flatten(value, ""))
        else:
            groups.setdefault(_GENERAL, []).append((str(name), _shown(value)))
    total = sum(map(len, groups.values()))
    tables = [
        tag(
            "table",
            tag("caption", name),
            tag("tbody", *(tag("tr", tag("th", key, scope="row"), tag("td", value)) for key, value in rows)),
        )
        for name, rows in groups.items()
    ]
    return section("configuration", title, details(f"All {total} settings", tag("div", *tables, class_="settings")))


def _flatten(node: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for name, value in node.items():
        if isinstance(value, dict) and value:
            rows += _flatten(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", _shown(value)))
    return rows


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
