#include <stddef.h>

#include "pipeline/page_parts.h"

/* Blue, vermilion and green of Okabe and Ito are told apart by colour-blind readers. The map's
 * scales run from blue over the background's grey to orange; each step is also a number in the
 * table. Dark colours are for screens only, so print is always light. */
const char *const lrp_page_style[] = {
    ":root{color-scheme:light dark;--paper:#fff;--ink:#1c2128;--soft:#57606a;--rule:#d5dae0;"
    "--box:#f6f7f9;--link:#0a5ea8;--you:#0072b2;--other:#c44601;--pick:#007a59;--chance:#6e7681;"
    "--n6:#084a91;--n5:#2a6fb0;--n4:#5593c6;--n3:#86b4d8;--n2:#b5d1e8;--n1:#dbe8f3;--z:#f0f1f3;"
    "--p1:#fde9d6;--p2:#fbd0a6;--p3:#f5ac6c;--p4:#e5823a;--p5:#c15a16;--p6:#84390a;"
    "--d0:#440154;--d1:#46327e;--d2:#365c8d;--d3:#277f8e;--d4:#1b9a7d;--d5:#3fa84a;--d6:#8c9b10;"
    "--d7:#b98a00}\n",
    "@media screen and (prefers-color-scheme:dark){:root{--paper:#14171b;--ink:#e6e9ec;"
    "--soft:#a3acb6;--rule:#363c44;--box:#1d2127;--link:#7cc0f5;--you:#56b4e9;--other:#f59a3c;"
    "--pick:#3fcf9f;--chance:#9aa3ad;"
    "--n6:#b7dcfb;--n5:#86bdea;--n4:#5d9bd0;--n3:#4079ab;--n2:#2f5a80;--n1:#284158;--z:#2a2e34;"
    "--p1:#4a3a2c;--p2:#6e4a2b;--p3:#9a5f2a;--p4:#cb7a30;--p5:#f2a05a;--p6:#ffd3a8;"
    "--d0:#c78bf0;--d1:#a49af5;--d2:#7fb0f2;--d3:#5fc4dc;--d4:#53d0ae;--d5:#83d67a;--d6:#c3d353;"
    "--d7:#f2d04b}}\n",
    "*{box-sizing:border-box}\n",
    "html{-webkit-text-size-adjust:100%;text-size-adjust:100%}\n",
    "body{margin:0;background:var(--paper);color:var(--ink);"
    "font:16px/1.55 system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif}\n",
    "header,main,footer{max-width:75rem;margin:0 auto;padding:0 1.25rem}\n",
    "header{padding-top:2.5rem}\n",
    "h1,h2,h3,p,li,dd,summary,td,th,caption,figcaption{overflow-wrap:anywhere}\n",
    "h1{font-size:1.9rem;line-height:1.2;font-weight:650;letter-spacing:-.01em;margin:0 0 .4rem}\n",
    "h2{font-size:1.35rem;line-height:1.25;font-weight:650;margin:0 0 .5rem}\n",
    "h3{font-size:1.05rem;font-weight:650;margin:1.8rem 0 .4rem}\n",
    "p{margin:.4rem 0 .8rem;max-width:46rem}\n",
    ".lead{color:var(--soft);font-size:1.05rem}\n",
    "section{margin:3rem 0 0;padding-top:1.6rem;border-top:1px solid var(--rule)}\n",
    "a{color:var(--link)}\n",
    ":focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:2px}\n",
    "nav ul{display:flex;flex-wrap:wrap;gap:.2rem 1.2rem;list-style:none;margin:1.4rem 0 0;"
    "padding:0}\n",
    "code{font:.92em ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\n",
    "pre{overflow:auto;max-height:32rem;background:var(--box);padding:.9rem 1rem;border-radius:6px;"
    "font:.82rem/1.5 ui-monospace,SFMono-Regular,Menlo,Consolas,monospace}\n",
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,9.6rem),1fr));"
    "gap:.8rem;margin:1.6rem 0 0;padding:0}\n",
    ".tiles div{background:var(--box);border-radius:8px;padding:.8rem 1rem;min-width:0}\n",
    ".tiles dt{color:var(--soft);font-size:.85rem}\n",
    ".tiles dd{margin:0}\n",
    ".tiles .big{font-size:1.5rem;font-weight:650;line-height:1.3;"
    "font-variant-numeric:tabular-nums}\n",
    ".tiles .sub{color:var(--soft);font-size:.85rem;line-height:1.4}\n",
    ".panels{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,20.5rem),1fr));"
    "gap:1.6rem 2rem;margin:1rem 0}\n",
    "figure{margin:0;min-width:0}\n",
    ".pair{display:grid;grid-template-columns:minmax(0,2fr) minmax(0,1fr);gap:1.6rem 2rem;"
    "align-items:start;margin:1rem 0}\n",
    "figure.main{max-width:50rem}\n",
    ".wide,section>.main{margin:1rem 0}\n",
    "figcaption{font-size:.95rem;line-height:1.35;margin:0 0 .3rem}\n",
    "figcaption span{color:var(--soft);font-size:.85rem}\n",
    ".note{color:var(--soft);font-size:.9rem}\n",
    "svg{display:block;width:100%;height:auto;overflow:visible}\n",
    "svg text{font:11px system-ui,-apple-system,'Segoe UI',Roboto,Arial,sans-serif;"
    "fill:var(--soft);font-variant-numeric:tabular-nums}\n",
    "@media (min-width:56rem){.main svg text{font-size:9px}}\n",
    "svg .label{fill:var(--ink)}\n",
    ".grid{stroke:var(--rule);stroke-width:1;fill:none}\n",
    ".axis{stroke:var(--chance);stroke-width:1;fill:none}\n",
    ".line{fill:none;stroke-width:1.6;stroke-linejoin:round}\n",
    ".line.you{stroke:var(--you)}.line.front{stroke:var(--you);stroke-width:1.4}\n",
    ".line.paper{stroke:var(--other);stroke-dasharray:2 3;stroke-width:1.2}\n",
    ".line.chance{stroke:var(--chance);stroke-dasharray:6 4;stroke-width:1.2}\n",
    ".line.zero{stroke:var(--chance);stroke-width:1}\n",
    ".line.layer{stroke-width:1;opacity:.85}\n",
    ".error{fill:none;stroke-width:1.3}\n",
    ".error.you{stroke:var(--you)}.error.paper{stroke:var(--other);opacity:.55}"
    ".error.pick{stroke:var(--pick)}\n",
    ".mark{stroke-width:1.6}\n",
    ".mark.you{fill:var(--you);stroke:var(--paper);stroke-width:1}\n",
    ".mark.paper{fill:var(--paper);stroke:var(--other)}\n",
    ".mark.pick{fill:var(--pick);stroke:var(--paper);stroke-width:1}\n",
    ".mark.second{fill:var(--paper);stroke:var(--you)}\n",
    ".dots{fill:none;stroke-width:4;stroke-linecap:round}.dots.you{stroke:var(--you);opacity:.45}"
    "\n",
    ".sure{fill:var(--ink)}.sure.on{fill:var(--paper)}\n",
    ".n6{fill:var(--n6);background:var(--n6)}.n5{fill:var(--n5);background:var(--n5)}"
    ".n4{fill:var(--n4);background:var(--n4)}.n3{fill:var(--n3);background:var(--n3)}"
    ".n2{fill:var(--n2);background:var(--n2)}.n1{fill:var(--n1);background:var(--n1)}"
    ".z{fill:var(--z);background:var(--z)}"
    ".p1{fill:var(--p1);background:var(--p1)}.p2{fill:var(--p2);background:var(--p2)}"
    ".p3{fill:var(--p3);background:var(--p3)}.p4{fill:var(--p4);background:var(--p4)}"
    ".p5{fill:var(--p5);background:var(--p5)}.p6{fill:var(--p6);background:var(--p6)}"
    ".none{fill:none;stroke:var(--rule)}\n",
    ".d0{stroke:var(--d0);background:var(--d0)}.d1{stroke:var(--d1);background:var(--d1)}"
    ".d2{stroke:var(--d2);background:var(--d2)}.d3{stroke:var(--d3);background:var(--d3)}"
    ".d4{stroke:var(--d4);background:var(--d4)}.d5{stroke:var(--d5);background:var(--d5)}"
    ".d6{stroke:var(--d6);background:var(--d6)}.d7{stroke:var(--d7);background:var(--d7)}\n",
    ".legend{display:flex;flex-wrap:wrap;gap:.2rem 1.3rem;list-style:none;margin:.6rem 0;padding:0;"
    "font-size:.88rem;color:var(--soft)}\n",
    ".legend li{display:flex;align-items:center;gap:.45rem}\n",
    ".key{flex:none;display:inline-block;width:.65rem;height:.65rem}\n",
    ".key.dot{border-radius:50%;background:var(--you)}\n",
    ".key.ring{border-radius:50%;border:2px solid var(--you)}\n",
    ".key.diamond{border:2px solid var(--other);transform:rotate(45deg) scale(.85)}\n",
    ".key.square{background:var(--pick)}\n",
    ".key.stroke{width:1.3rem;height:0;border-top:2px solid var(--you)}\n",
    ".key.paper-stroke{width:1.3rem;height:0;border-top:2px dotted var(--other)}\n",
    ".key.dashes{width:1.3rem;height:0;border-top:2px dashed var(--chance)}\n",
    ".key.point{width:.3rem;height:.3rem;border-radius:50%;background:var(--ink)}\n",
    ".scale{display:flex;flex-wrap:wrap;list-style:none;margin:.6rem 0;padding:0;font-size:.8rem;"
    "color:var(--soft)}\n",
    ".scale "
    "li{min-width:3.4rem;text-align:center;white-space:nowrap;font-variant-numeric:tabular-nums}\n",
    ".scale span{display:block;height:.7rem;margin-bottom:.15rem}\n",
    ".scroll{overflow-x:auto;max-width:100%;margin:.6rem 0 1rem}\n",
    "table{border-collapse:collapse;font-size:.88rem;line-height:1.4;"
    "font-variant-numeric:tabular-nums}\n",
    "caption{text-align:left;color:var(--soft);padding:0 0 .4rem}\n",
    "th,td{text-align:right;padding:.28rem .7rem;border-bottom:1px solid var(--rule);"
    "vertical-align:baseline;white-space:nowrap}\n",
    "thead th{font-weight:600;vertical-align:bottom;white-space:normal;min-width:4.5rem;"
    "overflow-wrap:normal}\n",
    "th:first-child{text-align:left;padding-left:0}\n",
    "tbody th{font-weight:500;white-space:normal;min-width:8rem;max-width:22rem}\n",
    "small{color:var(--soft);font-size:.92em}\n",
    "details{margin:.8rem 0}\n",
    "summary{cursor:pointer;color:var(--link);width:fit-content;max-width:100%}\n",
    ".facts{display:grid;grid-template-columns:minmax(7rem,max-content) minmax(0,1fr);"
    "gap:.3rem 1.4rem;margin:.8rem 0}\n",
    ".facts dt{color:var(--soft)}.facts dd{margin:0}\n",
    "footer{color:var(--soft);font-size:.85rem;padding-top:2rem;padding-bottom:3rem}\n",
    "@media (max-width:56rem){.pair{grid-template-columns:minmax(0,1fr)}"
    ".pair .panel{max-width:28rem}}\n",
    "@media (max-width:40rem){h1{font-size:1.5rem}.main svg text{font-size:12.5px}"
    ".facts{grid-template-columns:minmax(0,1fr)}.facts dd{margin-bottom:.5rem}}\n",
    "@media print{:root{color-scheme:light}@page{margin:16mm 14mm}body{font-size:10pt}"
    "*{print-color-adjust:exact;-webkit-print-color-adjust:exact}"
    "header,main,footer{max-width:none;padding-left:0;padding-right:0}header{padding-top:0}"
    "nav,details:not([open]){display:none}.scroll{overflow:visible}.map>div{min-width:0!important}"
    "pre{max-height:none;white-space:pre-wrap}"
    "section{margin-top:1.6rem}h2,h3,figcaption{break-after:avoid}"
    "figure,tr,.tiles div{break-inside:avoid}"
    ".panels{grid-template-columns:repeat(2,minmax(0,1fr))}"
    ".pair{grid-template-columns:minmax(0,3fr) minmax(0,2fr)}"
    ".tiles{grid-template-columns:repeat(auto-fit,minmax(7rem,1fr));gap:.5rem}"
    ".pair .panel{max-width:none}.tiles .big{font-size:1.2rem}table{font-size:8pt}"
    "th,td{padding:.15rem .4rem}tbody th{max-width:14rem}}\n",
    NULL};
