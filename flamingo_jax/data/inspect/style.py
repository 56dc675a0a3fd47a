"""The style sheet of both pages."""

from flamingo_jax.data.inspect.tokens import COLOURS
from flamingo_jax.html.palette import scheme

_RULES = """
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%;scroll-behavior:smooth}
body{margin:0 auto;padding:0 24px 48px;max-width:1180px;background:var(--page);color:var(--ink);
 font:16px/1.55 Inter,"Segoe UI",system-ui,-apple-system,"Helvetica Neue",Arial,sans-serif;
 font-variant-numeric:tabular-nums}
h1,h2,h3,h4,h5,p,dl,dd,ul,figure{margin:0;padding:0}
h1{font-size:32px;line-height:1.2;letter-spacing:-.02em;font-weight:650;overflow-wrap:anywhere}
h2{font-size:22px;letter-spacing:-.01em;font-weight:620}
h4{font-size:14px;font-weight:620}h5{font-size:13px;font-weight:560;color:var(--soft);margin-bottom:6px}
.top{padding:48px 0 0}.eyebrow{font-size:13px;font-weight:600;color:var(--accent);margin-bottom:6px}
.told{color:var(--soft);max-width:760px;margin-top:10px}
nav{display:flex;flex-wrap:wrap;gap:4px 22px;margin-top:22px;padding:10px 0;border-block:1px solid var(--rule);
 font-size:14px}
nav a{color:var(--soft);text-decoration:none}nav a:hover,nav a:focus{color:var(--accent);text-decoration:underline}
section{margin-top:44px;scroll-margin-top:16px}
.lead,.absent{color:var(--soft);font-size:14px;overflow-wrap:anywhere}.absent{font-style:italic}
.legend{list-style:none;display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,340px),1fr));gap:4px 24px;
 margin-top:22px;font-size:13px;line-height:1.7;color:var(--soft)}
.legend>li>span{margin-right:6px;color:var(--ink)}
.tiles{display:flex;flex-wrap:wrap;gap:10px;margin:14px 0}
.tiles>div{background:var(--card);border:1px solid var(--rule);border-radius:9px;padding:9px 14px;min-width:136px}
.tiles dt{font-size:12.5px;color:var(--soft)}.tiles dd b{font-size:21px;font-weight:620;letter-spacing:-.02em}
.tiles small{display:block;font-size:12px;color:var(--faint)}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,250px),1fr));gap:16px 32px;margin:16px 0 4px}
.histogram dl>div{display:grid;grid-template-columns:minmax(28px,auto) 1fr;gap:10px;font-size:13px;line-height:1.65}
.histogram dt{color:var(--soft);text-align:right;min-width:34px}
.histogram dd{display:flex;gap:8px;align-items:center}.histogram dd span:last-child{white-space:nowrap}
.histogram small{color:var(--faint)}
.bar{display:block;height:8px;border-radius:4px;background:var(--fill);min-width:2px;flex:none}
.parts{display:flex;gap:2px;height:26px;border-radius:6px;overflow:hidden}
.part{display:flex;align-items:center;justify-content:center;font-size:12px;min-width:3px;overflow:hidden;
 background:var(--tint);color:var(--hue)}
details{margin-top:10px}summary{cursor:pointer;color:var(--accent);font-size:13.5px;width:fit-content}
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:13px;margin-top:8px}
caption{text-align:left;color:var(--faint);font-size:12.5px}
th,td{padding:3px 18px 3px 0;text-align:right;font-weight:400;border-bottom:1px solid var(--rule);white-space:nowrap}
tbody th{text-align:left;color:var(--soft)}thead th{color:var(--faint)}
.row,.document{background:var(--card);border:1px solid var(--rule);border-radius:10px;margin-top:14px;min-width:0}
.row>header,.document>header{display:flex;flex-wrap:wrap;gap:2px 14px;align-items:baseline;padding:10px 18px;
 border-bottom:1px solid var(--rule);font-size:13px;color:var(--faint)}
.row h4,.document h4{color:var(--ink);overflow-wrap:anywhere}
.split{display:grid;grid-template-columns:minmax(0,1fr) minmax(0,clamp(166px,34%,420px));gap:22px;
 padding:14px 18px 16px}
.short{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,480px),1fr));gap:0 14px}
.alone{padding:14px 18px 16px}
.key{font-size:12.5px;color:var(--faint);overflow-wrap:anywhere;margin-bottom:4px}
.key b{font-weight:560;color:var(--soft)}
.tokens+.key{margin-top:14px;padding-top:12px;border-top:1px dashed var(--axis)}
.tokens{white-space:pre-wrap;overflow-wrap:anywhere;font-size:15px;line-height:1.95;unicode-bidi:isolate}
.run{background:var(--tint);box-decoration-break:clone;-webkit-box-decoration-break:clone;border-radius:4px;
 padding:2px 0 3px}
.mark{font-size:10.5px;font-weight:700;line-height:0;color:var(--hue);padding:0 2px 0 3px;user-select:none}
.t{text-decoration:underline;text-decoration-color:var(--hue);text-decoration-thickness:1px;text-underline-offset:4px;
 border-left:1px solid var(--hair)}
.blind{text-decoration:none;opacity:.46}
.tag,.control{font:600 12.5px/1 ui-monospace,"SF Mono",Menlo,Consolas,monospace;padding:2px 1px;border-radius:3px}
.tag{background:var(--hue);color:var(--card);border-left-color:var(--card)}
.control{border:1px solid var(--axis);padding:1px 4px;margin:0 2px;color:var(--soft)}
.pad,.replaced{font-size:12.5px;color:var(--faint);margin-top:10px}
.pad::before{content:"";display:inline-block;width:22px;height:9px;margin-right:8px;border-radius:2px;
 background:repeating-linear-gradient(45deg,var(--axis) 0 1px,transparent 1px 4px)}
.replaced{color:var(--bad)}
.media{display:flex;flex-wrap:wrap;gap:14px;align-content:flex-start}
.figure{min-width:0;max-width:100%}.figure.one{width:166px}.strip{display:flex;flex-wrap:wrap;gap:4px}
.strip img{display:block;box-sizing:content-box;border:3px solid var(--hue);border-radius:5px;height:auto;
 max-width:calc(100% - 6px);background:var(--track)}
.figure.c .strip img{border-width:1px}
.strip .dim{opacity:.28;border-style:dashed}
figcaption{display:flex;flex-wrap:wrap;gap:0 8px;align-items:baseline;font-size:12px;line-height:1.45;
 color:var(--faint);margin-top:4px;max-width:420px}
.number{font-size:12.5px;color:var(--hue)}.from{overflow-wrap:anywhere;flex-basis:100%}.unseen{color:var(--bad)}
.broken{border:1px dashed var(--axis);border-radius:6px;padding:14px;font-size:12.5px;color:var(--faint);
 overflow-wrap:anywhere;max-width:340px}
.reading{padding:14px 18px 18px;max-width:760px}
.reading p.text{margin:0 0 12px;white-space:pre-wrap;overflow-wrap:anywhere}
.reading .figure{margin:4px 0 16px}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,260px),1fr));gap:14px}
.pairs .document{margin-top:0}
footer{margin-top:52px;padding-top:14px;border-top:1px solid var(--rule);font-size:13px;color:var(--faint)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media (max-width:760px){body{padding:0 14px 40px}.split{grid-template-columns:minmax(0,1fr)}.top{padding-top:28px}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@media print{body{max-width:none}.row,.document{break-inside:avoid}}
"""


def style_sheet() -> str:
    """The CSS: `--hue` and `--tint` are the colour of an image, strong and as a background; grey without image."""
    grey = ".c,body{--hue:var(--axis);--tint:var(--track);--hair:color-mix(in srgb,var(--axis) 38%,transparent)}"
    hues = "".join(
        f".c{place}{{--hue:var(--series-{place});--tint:color-mix(in srgb,var(--series-{place}) 15%,transparent);"
        f"--hair:color-mix(in srgb,var(--series-{place}) 30%,transparent)}}"
        for place in range(COLOURS)
    )
    return scheme() + grey + hues + _RULES.replace("\n", "")
