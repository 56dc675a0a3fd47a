"""The style sheet of the page."""

from flamingo_jax.html.palette import scheme

_RULES = """
*{box-sizing:border-box}
body{margin:0 auto;padding:0 24px 48px;max-width:900px;background:var(--page);color:var(--ink);
 font:16px/1.55 Inter,"Segoe UI",system-ui,-apple-system,"Helvetica Neue",Arial,sans-serif;
 font-variant-numeric:tabular-nums}
h1,h2,p,figure{margin:0;padding:0}
h1{font-size:32px;line-height:1.2;letter-spacing:-.02em;font-weight:650}
h2{font-size:21px;letter-spacing:-.01em;font-weight:620;margin-bottom:6px}
.top{padding:48px 0 0}.eyebrow{font-size:13px;font-weight:600;color:var(--accent);margin-bottom:6px}
.verdict{font-size:18px;line-height:1.5;color:var(--soft);margin:12px 0 6px}
section{margin-top:44px}.lead,.absent,.note{color:var(--soft);font-size:15px;overflow-wrap:anywhere}
.note{font-size:13px;margin-top:8px}.absent{font-style:italic}
.scroll{overflow-x:auto;margin-top:18px}
table{border-collapse:collapse;width:100%;font-size:14px}
caption{text-align:left;color:var(--faint);font-size:13px;padding-bottom:4px}
th,td{text-align:left;padding:5px 14px 5px 0;border-bottom:1px solid var(--rule);vertical-align:top;font-weight:400}
td{overflow-wrap:anywhere}tbody th{white-space:pre-wrap;overflow-wrap:anywhere}
thead th{color:var(--faint);font-size:13px}.number{text-align:right}tr:last-child>*{border-bottom:0}
.chart{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:14px 16px 10px;margin-top:14px}
.drawing{display:block;width:100%;height:auto}svg text{font-size:11px;fill:var(--faint)}
.grid{stroke:var(--grid)}.axis{stroke:var(--axis)}.threshold{stroke:var(--soft);stroke-dasharray:4 4}
.bar{fill:var(--fill)}.bar.flagged{fill:var(--bad)}
footer{margin-top:52px;padding-top:14px;border-top:1px solid var(--rule);font-size:13px;color:var(--faint)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media (max-width:600px){body{padding:0 14px 40px}h1{font-size:26px}}
@media print{body{max-width:none}}
"""


def style_sheet() -> str:
    """The CSS of the page."""
    return scheme() + _RULES.replace("\n", "")
