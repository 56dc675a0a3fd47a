"""The style sheet of the report."""

from flamingo_jax.html.palette import scheme

# Shallow to deep, from cool to warm; lightness changes along the way, so that colour-blind readers see an order too.
_DEPTH_LIGHT = ("2f4b9c", "7b3fa0", "c23b7e", "dd5f3d", "c98200")
_DEPTH_DARK = ("7f9cf5", "b98af0", "f080b5", "ff9b73", "f6c453")

_RULES = """
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:0 24px 48px;max-width:1148px;background:var(--page);color:var(--ink);
 font:16px/1.55 Inter,"Segoe UI",system-ui,-apple-system,"Helvetica Neue",Arial,sans-serif;
 font-variant-numeric:tabular-nums}
h1,h2,h3,h4,p,dl,dd,ul,figure{margin:0;padding:0}
h1{font-size:34px;line-height:1.2;letter-spacing:-.02em;font-weight:650;overflow-wrap:anywhere}
h2{font-size:21px;letter-spacing:-.01em;font-weight:620;margin-bottom:6px}
h3{font-size:14px;font-weight:600;color:var(--soft)}
a{color:var(--accent)}
header{padding:52px 0 0}
.eyebrow{font-size:13px;font-weight:600;color:var(--accent);margin-bottom:6px}
.verdict{font-size:18px;line-height:1.5;color:var(--soft);max-width:760px;margin-top:12px;text-wrap:pretty}
nav{display:flex;flex-wrap:wrap;gap:4px 22px;margin-top:26px;padding:11px 0;border-block:1px solid var(--rule);
 font-size:14px}
nav a{text-decoration:none;color:var(--soft)}nav a:hover,nav a:focus{color:var(--accent);text-decoration:underline}
section{margin-top:46px;scroll-margin-top:16px}
.lead,.note,.absent{color:var(--soft);max-width:760px}
.lead{font-size:15px;margin-bottom:16px}.note{font-size:13px;line-height:1.5;margin-top:12px}
.absent{font-style:italic;font-size:15px}
.skip{position:absolute;left:-999px}.skip:focus{left:16px;top:8px}
.unseen{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
.panel,.tile,.chart,.card,.corpus{background:var(--card);border:1px solid var(--rule);border-radius:10px}
.panels{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,420px),1fr));gap:16px;margin-top:14px}
.panel{padding:20px 24px}
.big{color:var(--soft);font-size:15px;margin:2px 0 12px}
.big strong{font-size:46px;line-height:1.15;font-weight:620;letter-spacing:-.03em;color:var(--ink);margin-right:4px}
.bars>div{display:grid;grid-template-columns:minmax(108px,34%) 1fr;gap:14px;align-items:center;padding:4px 0;
 font-size:14px}
.bars dt{color:var(--soft);line-height:1.3}
.bars dd{display:grid;grid-template-columns:1fr 52px;gap:10px;align-items:center}
.bars b{font-weight:600;text-align:right}
.track{display:block;height:9px;border-radius:5px;background:var(--track);overflow:hidden}
.fill{display:block;height:100%;background:var(--fill);border-radius:5px;min-width:2px}
.fill.strong{background:var(--accent)}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,162px),1fr));gap:16px;margin-top:16px}
.tile{padding:14px 16px}.tile dt{font-size:13px;color:var(--soft)}
.figure{font-size:25px;font-weight:620;letter-spacing:-.02em;line-height:1.35}
.unit{color:var(--soft);font-size:14px;margin-left:6px}
.tile small{display:block;font-size:12.5px;line-height:1.4;color:var(--faint)}
.grid-charts{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,330px),1fr));gap:16px;
 margin-bottom:16px}
.chart{padding:14px 16px 10px;min-width:0}.main{margin-bottom:16px;padding-bottom:14px}
figcaption{display:flex;flex-wrap:wrap;gap:0 10px;align-items:baseline;font-size:14px;margin-bottom:8px}
figcaption b{font-weight:600}figcaption span{color:var(--faint);font-size:13px}
.drawing{display:block;width:100%;height:auto;overflow:visible}.plot{overflow:hidden}
svg text{font-size:11px;fill:var(--faint)}svg .end{font-weight:600}svg .key,svg .name{font-size:12px;fill:var(--soft)}
svg .value{font-size:12px;font-weight:600;fill:var(--ink)}svg .aside{font-style:italic;font-size:10px}
.grid{stroke:var(--grid)}.grid.zero,.axis{stroke:var(--axis)}
.resume{stroke:var(--faint);stroke-width:1;stroke-dasharray:2 3}.diagonal{stroke:var(--axis);stroke-dasharray:4 4}
.raw,.line{fill:none;stroke-linejoin:round;stroke-linecap:round}.raw{stroke-width:1;opacity:.28}
.line{stroke-width:1.9}
.hover rect{fill:transparent}.hover line{stroke:var(--axis)}.hover line,.hover circle{visibility:hidden}
.hover circle{stroke:var(--card);stroke-width:1.5}.hover:hover line,.hover:hover circle{visibility:visible}
.stem line{stroke-width:1.6;opacity:.55}
.disc{fill:var(--accent)}.ring{fill:var(--card);stroke:var(--soft);stroke-width:2}
.bridge{stroke:var(--accent);stroke-width:2;opacity:.45}
.point{fill:var(--accent);fill-opacity:.55;stroke:var(--accent)}
.narrow{display:none}
.guide>div,.counts>div{display:flex;gap:14px;padding:7px 0;font-size:14px;border-bottom:1px solid var(--rule)}
.guide dt{flex:0 0 72px;font-weight:560}.guide dd{color:var(--soft);line-height:1.4}
.counts>div{justify-content:space-between}.counts dt{color:var(--soft)}.counts dd{font-weight:600}
.depth{display:flex;align-items:center;justify-content:center;gap:9px;font-size:12px;color:var(--faint);
 margin-top:4px}
.depth span{display:flex;width:110px;height:7px;border-radius:4px;overflow:hidden}.depth i{flex:1}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,300px),1fr));gap:16px}
.card{padding:16px;display:flex;flex-direction:column;gap:12px;font-size:15px;line-height:1.45;min-width:0}
.picture{display:block;width:100%;height:190px;object-fit:contain;background:var(--track);border-radius:6px}
.small{width:72px;height:72px;flex:none}
.missing{display:flex;flex-direction:column;align-items:center;justify-content:center;padding:8px;color:var(--faint);
 font-size:13px;
 text-align:center;overflow:hidden}.missing small{font-size:11px;line-height:1.3;overflow-wrap:anywhere}
.small.missing small{display:none}
.said h4{font-size:12.5px;font-weight:500;color:var(--faint);display:flex;justify-content:space-between;gap:8px}
.said p{overflow-wrap:anywhere}.answer p{font-weight:560}
mark{background:none;color:inherit;text-underline-offset:3px}
mark.right{text-decoration:underline solid 2px var(--good)}
mark.wrong{text-decoration:underline wavy 1.5px var(--bad)}
mark.changed{text-decoration:underline dotted 2px var(--axis)}
.chips{display:flex;flex-wrap:wrap;gap:6px;list-style:none;font-size:12.5px;line-height:1.5}
.chips li{padding:1px 9px 1px 7px;border-radius:6px;background:var(--good-back);color:var(--good)}
.chips .wrong{background:var(--bad-back);color:var(--bad)}.chips span[aria-hidden]{font-weight:700;margin-right:5px}
.attribute{opacity:.85}.attribute::after{content:":"}
.instead{display:flex;gap:12px;border-top:1px solid var(--rule);padding-top:12px;margin-top:auto}
.instead>div:last-child{flex:1;min-width:0}.instead p{font-size:14px;color:var(--soft)}
.source{font-size:11.5px;color:var(--faint);overflow-wrap:anywhere}
.corpus{padding:18px 22px;margin-bottom:16px}.corpus h3{color:var(--ink);font-size:16px}
.kept{display:flex;flex-wrap:wrap;gap:2px 22px;list-style:none;font-size:14px;color:var(--soft);margin:2px 0 10px}
.kept b{color:var(--ink);font-weight:600}
table{border-collapse:collapse;width:100%;font-size:14px}
caption{text-align:left;color:var(--faint);font-size:13px;padding-bottom:4px}
th,td{text-align:left;padding:6px 14px 6px 0;border-bottom:1px solid var(--rule);vertical-align:top;font-weight:400}
thead th,.unit-row th{color:var(--faint);font-size:13px}.unit-row>*{padding-top:14px}.number{text-align:right}
tr:last-child>*{border-bottom:0}
.drops{table-layout:fixed}.drops .number{width:90px}
.drops .unit-row td{font-weight:400;color:var(--faint);font-size:13px}
.drops .bar{width:40%;padding-right:0;padding-top:12px}.drops details{font-size:13px;color:var(--soft)}
.drops ul{padding-left:18px;overflow-wrap:anywhere}.drops td{color:var(--soft)}
.drops .number{color:var(--ink);font-weight:600}
.scroll{overflow-x:auto}
details{margin-top:10px}.drops details{margin-top:0}
summary{cursor:pointer;color:var(--accent);font-size:14px;width:fit-content}.drops summary{font-size:13px}
details[open]>summary{margin-bottom:8px}
.settings{columns:2 430px;column-gap:32px}.settings table{break-inside:avoid;margin-bottom:18px;font-size:13px}
.settings caption{font-weight:600;color:var(--ink)}
.settings th,.settings td{padding:3px 12px 3px 0;overflow-wrap:anywhere}
.settings th{color:var(--soft);width:46%}
.settings td{font-family:ui-monospace,"SF Mono",Menlo,Consolas,monospace;font-size:12px}
.notes ul{padding-left:20px;font-size:14px;color:var(--soft);overflow-wrap:anywhere}
footer{margin-top:52px;padding-top:14px;border-top:1px solid var(--rule);font-size:13px;color:var(--faint)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media (max-width:680px){body{padding:0 16px 40px}header{padding-top:30px}h1{font-size:27px}.verdict{font-size:16px}
 section{margin-top:36px}.panel{padding:16px}.wide{display:none}.narrow{display:block}.big strong{font-size:38px}
 .tiles{grid-template-columns:repeat(2,1fr);gap:10px}.tile{padding:11px 12px}.figure{font-size:21px}
 .corpus{padding:14px 16px}.drops .bar,.drops colgroup{display:none}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@media print{:root{--page:#fff}@page{margin:14mm}
 body{zoom:.7;max-width:none;padding:0;-webkit-print-color-adjust:exact;print-color-adjust:exact}
 nav,.skip{display:none}header{padding-top:0}section{margin-top:22pt}h2,.lead{break-after:avoid}
.lead{break-inside:avoid}
 .panel,.tile,.chart,.card,.drops tr{break-inside:avoid}.wide{display:block}.narrow{display:none}
 .panels{grid-template-columns:1fr 1fr}.tiles,.grid-charts,.cards{grid-template-columns:repeat(3,1fr);gap:12px}
 .card{font-size:13px;gap:8px;padding:12px}.picture{height:110px}.small{height:56px;width:56px}
.instead p{font-size:12.5px}}
"""


def style_sheet(depth: int) -> str:
    """The CSS of the page, with `--depth-0` to `--depth-{depth - 1}` as the colours of layers from first to last."""
    colours = scheme(_depth(_DEPTH_LIGHT, depth), _depth(_DEPTH_DARK, depth))
    return colours + _RULES.replace("\n", "")


def _depth(stops: tuple[str, ...], size: int) -> str:
    """`size` colours evenly along the ramp through `stops` (hexadecimal RGB), as CSS variables."""
    colours = [tuple(int(stop[at : at + 2], 16) for at in (0, 2, 4)) for stop in stops]
    variables = []
    for index in range(size):
        place = index / max(size - 1, 1) * (len(colours) - 1)
        start = min(int(place), len(colours) - 2)
        share = place - start
        mixed = (round(a + (b - a) * share) for a, b in zip(colours[start], colours[start + 1], strict=True))
        variables.append(f"--depth-{index}:#{''.join(f'{channel:02x}' for channel in mixed)};")
    return "".join(variables)
