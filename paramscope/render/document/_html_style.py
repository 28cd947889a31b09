"""The style of an HTML report: it takes the page's own colours, so that it suits light and dark themes alike."""

from __future__ import annotations

# Nothing outside of `.paramscope` is touched: in a notebook every style is everybody's. Two classes in a selector
# outweigh what Jupyter says of tables. The colours are Okabe and Ito's; each status also has its word.
STYLE = """\
.paramscope{color:inherit;font:13px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif;container-type:inline-size;\
--ps-line:rgba(128,128,128,.35);--ps-soft:rgba(128,128,128,.1)}
.paramscope code{font:12px/1.45 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;color:inherit;background:none;\
padding:0;overflow-wrap:anywhere;white-space:pre-wrap;unicode-bidi:isolate}
.paramscope p,.paramscope ul{margin:.5em 0;text-align:left}
.paramscope ul{padding-left:1.4em}
.paramscope summary{cursor:pointer}
.paramscope .ps-title{font-size:15px;font-weight:600}
.paramscope .ps-title code{font-size:14px}
.paramscope .ps-quiet{opacity:.75}
.paramscope .ps-section{margin:.8em 0}
.paramscope .ps-section>summary{font-weight:600}
.paramscope .ps-scroll{overflow-x:auto}
.paramscope .ps-scroll table{border-collapse:collapse;border:0;margin:.5em 0;font-size:13px;color:inherit;\
table-layout:auto;width:auto}
.paramscope .ps-scroll table tr,.paramscope .ps-scroll table tbody tr:nth-child(n){background:none}
.paramscope .ps-scroll table tbody tr:nth-child(n):hover{background:var(--ps-soft)}
.paramscope .ps-scroll table th,.paramscope .ps-scroll table td{padding:.2em .7em;text-align:left;\
vertical-align:top;border:0;border-bottom:1px solid var(--ps-line);white-space:nowrap;max-width:none}
.paramscope .ps-scroll table th{font-weight:600}
.paramscope .ps-scroll table .ps-right{text-align:right;font-variant-numeric:tabular-nums}
.paramscope .ps-scroll table .ps-wide{white-space:normal;min-width:16em}
.paramscope .ps-scroll table td:not(.ps-wide) code,.paramscope .ps-wide code+code,.paramscope .ps-one{\
white-space:nowrap;overflow-wrap:normal}
.paramscope .ps-no{opacity:.6}
.paramscope .ps-status::before{content:"";display:inline-block;width:9px;height:9px;margin-right:.4em;\
border-radius:50%;border:2px solid #888;box-sizing:border-box}
.paramscope .ps-trainable .ps-status::before{background:#0072b2;border-color:#0072b2}
.paramscope .ps-frozen .ps-status::before{border-color:#56b4e9}
.paramscope .ps-buffer .ps-status::before{background:#009e73;border-color:#009e73;border-radius:1px}
.paramscope .ps-attribute .ps-status::before{border-color:#cc79a7;border-radius:1px}
.paramscope .ps-hidden .ps-status::before{background:#d55e00;border-color:#d55e00;border-radius:1px;\
transform:rotate(45deg)}
.paramscope .ps-unknown .ps-status::before{border-style:dashed;border-color:#e69f00}
.paramscope .ps-hidden .ps-status{font-weight:600}
.paramscope .ps-error,.paramscope .ps-warning,.paramscope .ps-info{border-left:3px solid #56b4e9;\
padding:.1em .6em;margin:.4em 0;background:var(--ps-soft)}
.paramscope .ps-error{border-color:#d55e00}
.paramscope .ps-warning{border-color:#e69f00}
@media print{
.paramscope .ps-scroll{overflow:visible}
.paramscope .ps-scroll table tr,.paramscope .ps-error,.paramscope .ps-warning,.paramscope .ps-info{break-inside:avoid}
}
@container (max-width:46em){
.paramscope .ps-scroll table thead{display:none}
.paramscope .ps-scroll table,.paramscope .ps-scroll table tbody{display:block;width:100%}
.paramscope .ps-scroll table tr{display:block;text-align:left;padding:.35em 0;border-bottom:1px solid var(--ps-line)}
.paramscope .ps-scroll table td,.paramscope .ps-scroll table .ps-right{display:inline-block;border:0;\
padding:0 .9em 0 0;text-align:left}
.paramscope .ps-scroll table .ps-wide{display:block;min-width:0}
.paramscope .ps-scroll table td:empty{display:none}
.paramscope .ps-scroll table td[data-label]::before{content:attr(data-label) " ";opacity:.6}
}
"""
PAGE = ":root{color-scheme:light dark}body{margin:1.5em;max-width:100em}\n"
"""Of a page of its own: the reader's choice of light or dark."""
