"""The page's style sheet, in the library's own variables, so that it follows its light and dark."""

CSS = """
.gradio-container{max-width:none!important;overflow:clip!important}
main.fillable,.main.fillable{max-width:760px!important;margin:0 auto!important}
:root{--quiet:#5f6368}
.dark{--quiet:#a8acb3}
main.fillable .column.gap,main.fillable>.column{gap:.75rem}
#title h1{font-size:1.25rem;font-weight:600;margin:0}
#title p{color:var(--quiet);font-size:.875rem;margin:.125rem 0 0}
.talk{display:flex;flex-direction:column;gap:1.25rem;line-height:1.5;overflow-wrap:anywhere}
.talk p{margin:0;white-space:pre-wrap}
.talk .welcome{color:var(--quiet);text-align:center;padding:4rem 1rem}
.talk .turn,.talk .gone{display:flex;flex-direction:column;gap:.5rem}
.talk .gone{gap:1.25rem;opacity:.45;filter:grayscale(1)}
.talk .sent{align-self:flex-end;max-width:80%;display:flex;flex-direction:column;gap:.5rem;align-items:flex-end}
.talk .media{display:flex;flex-wrap:wrap;gap:.5rem;justify-content:flex-end}
.talk .sent p{background:var(--color-accent-soft);color:var(--body-text-color);border-radius:1rem 1rem .25rem 1rem;
padding:.5rem .875rem}
.talk .medium{position:relative;display:block}
.talk .medium img{display:block;max-width:160px;max-height:160px;border-radius:.75rem;margin:0;
border:1px solid var(--border-color-primary)}
.talk .clip{position:absolute;left:.375rem;bottom:.375rem;background:#000b;color:#fff;font-size:.75rem;
padding:0 .375rem;border-radius:.25rem}
.talk .says{align-self:flex-start;max-width:85%;white-space:pre-wrap;background:var(--block-background-fill);
border:1px solid var(--border-color-primary);border-radius:1rem 1rem 1rem .25rem;padding:.5rem .875rem}
.talk .growing::after{content:"";display:inline-block;width:.5em;height:1em;margin-left:.125em;vertical-align:-.125em;
background:var(--color-accent);animation:blink 1s steps(2) infinite}
.talk .waiting{color:var(--quiet);font-style:italic}
.talk .foot{font-size:.75rem;color:var(--quiet);padding-left:.875rem}
.talk .foot ul{margin:.25rem 0 0;padding-left:1.25rem}
.talk .edge{font-size:.8125rem;text-align:center;color:var(--quiet);
border-top:1px dashed var(--border-color-primary);padding-top:.5rem}
.notice{margin:0;padding:.625rem .875rem;border-radius:.5rem;border:1px solid #d4351c;background:#d4351c1a;
color:var(--body-text-color)}
.seen{font-size:.75rem;color:var(--quiet);margin:0;text-align:right}
#history,#live,#notice,#seen,#title{overflow:visible;padding:0}
#history .prose,#live .prose,#notice .prose{max-width:none}
#history{min-height:calc(100vh - 17.5rem)}
#notice:not(:has(.notice)),#live:not(:has(.says)),#seen:not(:has(.seen)){display:none}
#foot{gap:.375rem;position:sticky;bottom:0;z-index:5;background:var(--body-background-fill);padding:.5rem 0 .75rem}
@keyframes blink{50%{opacity:0}}
@media(prefers-reduced-motion:reduce){.talk .growing::after{animation:none}}
"""
