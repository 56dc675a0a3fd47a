"""The style sheet of the page."""

from flamingo_jax.html.palette import scheme

_RULES = """
*{box-sizing:border-box}
html{scroll-behavior:smooth;-webkit-text-size-adjust:100%}
body{margin:0 auto;padding:0 24px 48px;max-width:1148px;background:var(--page);color:var(--ink);
 font:16px/1.55 Inter,"Segoe UI",system-ui,-apple-system,"Helvetica Neue",Arial,sans-serif;
 font-variant-numeric:tabular-nums}
h1,h2,h3,h4,p,dl,dd,ul,ol,figure,pre{margin:0;padding:0}
h1{font-size:34px;line-height:1.2;letter-spacing:-.02em;font-weight:650;overflow-wrap:anywhere}
h1 span{font-size:20px;font-weight:450;letter-spacing:0;color:var(--soft);margin-left:14px}
h2{font-size:21px;letter-spacing:-.01em;font-weight:620;margin-bottom:6px}
h4{font-size:12.5px;font-weight:500;color:var(--faint)}
a{color:var(--accent)}
.top{padding:52px 0 0}.eyebrow{font-size:13px;font-weight:600;color:var(--accent);margin-bottom:6px}
.verdict{font-size:18px;line-height:1.5;color:var(--soft);max-width:820px;margin-top:12px;text-wrap:pretty;
 overflow-wrap:anywhere}
.remark{font-size:14px;color:var(--soft);border-left:3px solid var(--axis);padding-left:12px;margin-top:12px;
 max-width:820px;overflow-wrap:anywhere}
nav{display:flex;flex-wrap:wrap;gap:4px 22px;margin-top:26px;padding:11px 0;border-block:1px solid var(--rule);
 font-size:14px}
nav a{text-decoration:none;color:var(--soft)}nav a:hover,nav a:focus{color:var(--accent);text-decoration:underline}
.skip{position:absolute;left:-999px}.skip:focus{left:16px;top:8px}
section{margin-top:46px;scroll-margin-top:16px}
.lead,.note,.absent{color:var(--soft);max-width:820px}
.lead{font-size:15px;margin-bottom:16px}.note{font-size:13px;margin-top:12px}.absent{font-style:italic;font-size:15px}
.scroll{overflow-x:auto}.drawing{display:block;width:100%;min-width:640px;height:auto}
svg text{font-size:11.5px;fill:var(--faint)}svg .name{font-size:12px;fill:var(--hue)}svg .own{font-weight:650}
.grid{stroke:var(--grid)}.grid.zero{stroke:var(--axis)}
.series .line{fill:none;stroke:var(--hue);stroke-width:1.2;opacity:.55;stroke-linejoin:round}
.series.dashed .line{stroke-dasharray:5 4}
.series .dot{fill:var(--hue);opacity:.7}
.series.own .line{stroke-width:2.8;opacity:1}.series.own .dot{opacity:1;stroke:var(--page);stroke-width:1.5}
.reach{fill:none;stroke:var(--hue);stroke-width:1.6}
.level{stroke:var(--soft);stroke-dasharray:2 4}.lead-line{fill:none;stroke:var(--hue);stroke-width:.8;opacity:.28}
.tables{display:grid;grid-template-columns:minmax(0,3fr) minmax(0,2fr);gap:8px 44px;margin-top:20px}
.tables>:only-child{grid-column:1/-1}
table{border-collapse:collapse;width:100%;font-size:14px}
caption{text-align:left;color:var(--faint);font-size:13px;padding-bottom:4px}
th,td{text-align:left;padding:5px 14px 5px 0;border-bottom:1px solid var(--rule);vertical-align:top;font-weight:400}
thead th{color:var(--faint);font-size:13px}.number{text-align:right}tr:last-child>*{border-bottom:0}
.own-cell small,.note-cell{display:block;font-size:11.5px;line-height:1.35;color:var(--faint)}
.own-cell small{white-space:nowrap}
details{margin-top:10px}summary{cursor:pointer;color:var(--accent);font-size:13.5px;width:fit-content}
details[open]>summary{margin-bottom:8px}
.sources{padding-left:20px;font-size:13.5px;color:var(--soft)}
.card{background:var(--card);border:1px solid var(--rule);border-radius:10px;margin-top:16px;min-width:0}
.card>header{display:flex;flex-wrap:wrap;gap:2px 16px;justify-content:space-between;align-items:baseline;
 padding:10px 20px;border-bottom:1px solid var(--rule)}
.card h3{font-size:13px;font-weight:500;color:var(--faint);overflow-wrap:anywhere;min-width:0}
.share{font-size:13px;color:var(--soft)}.share b{font-size:17px;font-weight:650;color:var(--ink);margin-left:4px}
.split{display:grid;grid-template-columns:minmax(0,360px) minmax(0,1fr);gap:24px;padding:18px 20px 16px}
.shown img{display:block;max-width:100%;height:auto;border-radius:6px;background:var(--track)}
.frames{display:grid;grid-template-columns:1fr 1fr;gap:5px}.frames img{width:100%}
.missing{display:flex;align-items:center;justify-content:center;height:180px;border:1px dashed var(--axis);
 border-radius:6px;color:var(--faint);font-size:13px;text-align:center}
.said{display:flex;flex-direction:column;gap:12px;min-width:0;overflow-wrap:anywhere}
.said p,.said li,figcaption,bdi,pre{unicode-bidi:isolate}
.answer{font-size:19px;font-weight:600;line-height:1.4}
.references{list-style:none;font-size:14.5px;line-height:1.5;color:var(--soft)}
.references small,.candidates small,.elsewhere small{color:var(--faint)}
.candidates{font-size:14px}.candidates td{padding:3px 12px 3px 0}.candidates .number{white-space:nowrap}
.candidates .bar{width:26%;padding-top:10px}.candidates .gap{color:var(--faint);line-height:1}
.track{display:block;height:8px;border-radius:4px;background:var(--track);overflow:hidden}
.fill{display:block;height:100%;background:var(--accent);border-radius:4px;min-width:1px}
.true{color:var(--good);font-weight:600;white-space:nowrap}
.examples{padding:0 20px 6px}
.support{list-style:none;display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:10px 14px;
 margin-top:6px}
.support figure{display:flex;gap:9px;align-items:flex-start;min-width:0}
.support img,.stamp{width:56px;height:56px;flex:none;object-fit:cover;border-radius:5px;background:var(--track)}
.stamp{font-size:10.5px;line-height:1.25;padding:2px}
figcaption{font-size:12.5px;line-height:1.4;color:var(--soft);min-width:0;overflow-wrap:anywhere;max-height:88px;
 overflow:auto}
.more{padding:0 20px 14px}
pre{white-space:pre-wrap;overflow-wrap:anywhere;font:12.5px/1.6 ui-monospace,"SF Mono",Menlo,Consolas,monospace;
 background:var(--track);border-radius:6px;padding:12px 14px;max-height:420px;overflow:auto}
.tag{font-weight:600;color:var(--accent)}
.elsewhere{width:auto;font-size:14px;overflow-wrap:anywhere}.elsewhere th{color:var(--faint);white-space:nowrap}
.settings{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,300px),1fr));gap:20px 40px}
.settings h3{font-size:14px;font-weight:600}
.settings dl>div{display:flex;gap:14px;justify-content:space-between;padding:5px 0;font-size:14px;
 border-bottom:1px solid var(--rule)}
.settings dt{color:var(--soft)}.settings dd{text-align:right;min-width:0;overflow-wrap:anywhere}
footer{margin-top:52px;padding-top:14px;border-top:1px solid var(--rule);font-size:13px;color:var(--faint)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media (max-width:760px){body{padding:0 14px 40px}.top{padding-top:28px}h1{font-size:27px}
 h1 span{display:block;margin-left:0}.split,.tables{grid-template-columns:minmax(0,1fr)}.verdict{font-size:16px}}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
@media print{body{max-width:none;padding:0;-webkit-print-color-adjust:exact;print-color-adjust:exact}
 nav,.skip{display:none}
 .card{break-inside:avoid}h2,.lead{break-after:avoid}}
"""


def style_sheet() -> str:
    """The CSS of the page."""
    return scheme() + _RULES.replace("\n", "")
