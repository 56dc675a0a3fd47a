"""The colours of all pages as CSS variables, once for light and once for dark."""

_LIGHT = """
--page:#fbfbfa;--card:#fff;--ink:#1d2127;--soft:#565d68;--faint:#6a717c;--rule:#e4e5e3;--grid:#eceded;--axis:#a9adb3;
--track:#eeefed;--fill:#b9c0ca;--accent:#0064a8;--good:#00714d;--bad:#b23c00;--good-back:#e6f4ee;--bad-back:#fcece3;
--series-0:#0068ad;--series-1:#c75000;--series-2:#00805d;--series-3:#a8508a;--series-4:#8a6a00;--series-5:#2b7fa8;
"""
_DARK = """
--page:#14161a;--card:#1b1e24;--ink:#e8eaed;--soft:#aab1bc;--faint:#8b929e;--rule:#2c3038;--grid:#272b32;--axis:#5b626d;
--track:#2a2e36;--fill:#5d6673;--accent:#6cb8f5;--good:#4fce9f;--bad:#ff9a5c;--good-back:#16332a;--bad-back:#3d2617;
--series-0:#62b4f2;--series-1:#ff9550;--series-2:#3cc79a;--series-3:#e39ac8;--series-4:#e3bd4a;--series-5:#8fd3f0;
"""


def scheme(light: str = "", dark: str = "") -> str:
    """The rules that define the variables, with more of them for each; printing always takes the light ones."""
    switch = "@media screen and (prefers-color-scheme:dark){:root{" + _DARK + dark + "}}"
    return (":root{color-scheme:light dark;" + _LIGHT + light + "}" + switch).replace("\n", "")
