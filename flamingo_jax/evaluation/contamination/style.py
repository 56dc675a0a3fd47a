"""The style sheet of the page."""

from flamingo_jax.html.palette import scheme

_RULES = """
*{box-sizing:border-box}
body{margin:0 auto;padding:0 24px 48px;max-width:1060px;background:var(--page);color:var(--ink);
 font:16px/1.55 Inter,"Segoe UI",system-ui,-apple-system,"Helvetica Neue",Arial,sans-serif;
 font-variant-numeric:tabular-nums}
h1,h2,h3,p,figure{margin:0;padding:0}
h1{font-size:32px;line-height:1.2;letter-spacing:-.02em;font-weight:650;overflow-wrap:anywhere}
h2{font-size:21px;letter-spacing:-.01em;font-weight:620;margin-bottom:6px}
h3{font-size:12.5px;font-weight:500;color:var(--faint);margin-bottom:6px}
.top{padding:48px 0 0}.eyebrow{font-size:13px;font-weight:600;color:var(--accent);margin-bottom:6px}
.verdict{font-size:18px;line-height:1.5;color:var(--soft);max-width:800px;margin-top:12px}
section{margin-top:44px}.lead,.absent{color:var(--soft);font-size:15px;max-width:800px;margin-bottom:14px}
.absent{font-style:italic;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin-top:14px}
table{border-collapse:collapse;width:100%;font-size:14px}
caption{text-align:left;color:var(--faint);font-size:13px;padding-bottom:4px}
th,td{text-align:left;padding:5px 14px 5px 0;border-bottom:1px solid var(--rule);vertical-align:top;font-weight:400}
tbody th{overflow-wrap:anywhere;min-width:140px}
thead th{color:var(--faint);font-size:13px}.number{text-align:right}tr:last-child>*{border-bottom:0}
.pair{background:var(--card);border:1px solid var(--rule);border-radius:10px;padding:16px 20px;margin-top:14px}
.two{display:grid;grid-template-columns:1fr 1fr;gap:24px}.two figure{min-width:0}
.pair img{display:block;max-width:100%;height:auto;border-radius:5px;background:var(--track)}
figcaption{font-size:13px;line-height:1.45;color:var(--soft);overflow-wrap:anywhere;margin-top:8px}
.pair>p{font-size:13px;color:var(--faint);margin-top:12px;overflow-wrap:anywhere}
footer{margin-top:52px;padding-top:14px;border-top:1px solid var(--rule);font-size:13px;color:var(--faint)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media (max-width:600px){body{padding:0 14px 40px}.two{gap:12px}h1{font-size:26px}}
@media print{body{max-width:none}.pair{break-inside:avoid}}
"""


def style_sheet() -> str:
    """The CSS of the page."""
    return scheme() + _RULES.replace("\n", "")
