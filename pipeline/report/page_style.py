"""The page's style: light and dark as the reader's system is, narrow screens, paper. A constant: so it counts as code.

Text has a contrast of 4.5 or more on its ground in both themes (WCAG 2.2, level AA); a test measures it. The series
colours are Okabe and Ito's (2008), told apart by colour-blind readers; dark ones are lightened on dark ground.
"""

from __future__ import annotations

from typing import Final

STYLE: Final = """
html {
  color-scheme: light dark;
  --ground: #ffffff; --panel: #f5f6f8; --ink: #1b1f24; --soft: #57606a; --line: #d4d8dd; --link: #0a58ca;
  --good: #14632f; --good-ground: #dcf3e3; --bad: #a31621; --bad-ground: #fde3e3;
  --warn: #7a4a00; --warn-ground: #fdf0d2; --neutral-ground: #e9ecef;
  --series-1: #0072b2; --series-2: #d55e00; --series-3: #009e73; --series-4: #b1508a; --series-5: #8a6d00;
  --series-6: #56b4e9;
}
@media (prefers-color-scheme: dark) {
  html {
    --ground: #14171b; --panel: #1d2127; --ink: #e6e9ed; --soft: #a3adb8; --line: #3a4149; --link: #7ab7ff;
    --good: #7fdc9c; --good-ground: #143322; --bad: #ff9a9a; --bad-ground: #431a1d;
    --warn: #f3c56b; --warn-ground: #3b2c0d; --neutral-ground: #2a2f36;
    --series-1: #56b4e9; --series-2: #f0954a; --series-3: #3cc79f; --series-4: #e39ac5; --series-5: #e6c84a;
    --series-6: #9ecbff;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 3.5rem; -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--ground); color: var(--ink); line-height: 1.55; overflow-wrap: break-word;
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
}
:lang(ja) {
  font-family: system-ui, -apple-system, "Hiragino Sans", "Yu Gothic UI", Meiryo, "Noto Sans CJK JP", "Noto Sans JP",
    "IPAexGothic", sans-serif;
  line-break: strict;
}
main { max-width: 72rem; margin: 0 auto; padding: 1rem 1.25rem 4rem; }
.skip { position: absolute; left: -100rem; }
.skip:focus { left: 1rem; top: 1rem; z-index: 2; background: var(--ground); padding: .5rem 1rem; }
nav {
  position: sticky; top: 0; z-index: 1; background: var(--ground); border-bottom: 1px solid var(--line);
}
nav ol {
  display: flex; flex-wrap: wrap; gap: .1rem 1.1rem; list-style: none; max-width: 72rem; margin: 0 auto;
  padding: .55rem 1.25rem; white-space: nowrap; font-size: .875rem;
}
a { color: var(--link); }
nav a { text-decoration: none; }
nav a:hover, nav a:focus { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
h1 { font-size: 2rem; line-height: 1.2; margin: 1rem 0 .5rem; }
h2 { font-size: 1.4rem; line-height: 1.3; margin: 2.75rem 0 .75rem; }
h3 { font-size: 1.1rem; margin: 1.75rem 0 .5rem; }
h4, h5, h6 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
p, ul { max-width: 52rem; }
li { margin: .2rem 0; }
li ul { color: var(--soft); font-size: .925rem; }
code, pre { font-family: ui-monospace, "SF Mono", Menlo, Consolas, "Liberation Mono", monospace; }
code { font-size: .9em; overflow-wrap: anywhere; }
pre {
  background: var(--panel); border: 1px solid var(--line); border-radius: 6px; padding: .75rem 1rem; overflow-x: auto;
  line-height: 1.45; font-size: .9rem;
}
pre code { overflow-wrap: normal; font-size: inherit; }
.value { font-variant-numeric: tabular-nums; white-space: nowrap; }
.badge {
  display: inline-block; padding: 0 .5em; border-radius: 1em; font-size: .875em; background: var(--neutral-ground);
}
.badge.good { color: var(--good); background: var(--good-ground); }
.badge.bad { color: var(--bad); background: var(--bad-ground); font-weight: 600; }
.badge.warn { color: var(--warn); background: var(--warn-ground); }
.notice {
  border-left: 5px solid var(--soft); background: var(--neutral-ground); border-radius: 4px; padding: .75rem 1rem;
  margin: 1rem 0;
}
.notice strong { font-size: 1.15rem; margin-right: .35rem; }
.notice.good { border-color: var(--good); background: var(--good-ground); }
.notice.bad { border-color: var(--bad); background: var(--bad-ground); }
.notice.warn { border-color: var(--warn); background: var(--warn-ground); }
.notice.good strong { color: var(--good); }
.notice.bad strong { color: var(--bad); }
.notice.warn strong { color: var(--warn); }
dl { margin: 1rem 0; border-top: 1px solid var(--line); }
dl > div {
  display: grid; grid-template-columns: minmax(8rem, 14rem) 1fr; gap: .25rem 1rem; padding: .35rem 0;
  border-bottom: 1px solid var(--line);
}
dt { color: var(--soft); }
dd { margin: 0; min-width: 0; }
.table { overflow-x: auto; margin: 1rem 0; }
.table code, .badge { white-space: nowrap; }
.table.cards code, .table.cards .badge { white-space: normal; }
table { border-collapse: collapse; font-size: .9rem; min-width: min(100%, 24rem); }
caption { text-align: left; color: var(--soft); padding: .25rem 0; }
th, td { text-align: left; vertical-align: top; padding: .3rem .75rem .3rem 0; border-bottom: 1px solid var(--line); }
thead th { color: var(--soft); font-weight: 600; border-bottom: 2px solid var(--line); }
tbody th { font-weight: 500; }
.right { text-align: right; }
td.right { white-space: nowrap; }
figure { margin: 1.25rem 0; }
figure svg { display: block; width: 100%; max-width: 41rem; height: auto; color: var(--ink); }
figure text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif; }
figcaption { color: var(--soft); font-size: .9rem; max-width: 52rem; }
details { border: 1px solid var(--line); border-radius: 6px; padding: 0 1rem; margin: .6rem 0; }
details[open] { padding-bottom: .5rem; }
summary { cursor: pointer; padding: .5rem 0; }
summary :is(h2, h3, h4, h5, h6) { display: inline; margin: 0; font-size: 1rem; }
@media (max-width: 42rem) {
  nav { overflow-x: auto; scrollbar-width: none; }
  nav ol { flex-wrap: nowrap; width: max-content; padding: .55rem .9rem; }
  main { padding: .5rem .9rem 3rem; }
  h1 { font-size: 1.6rem; }
  dl > div { grid-template-columns: 1fr; gap: 0; }
  .table:not(.cards) table:has(thead th:nth-child(6)) { min-width: 46rem; }
  .table:not(.cards) table:has(thead th:nth-child(8)) { min-width: 58rem; }
  .table.cards table, .table.cards tbody, .table.cards tr, .table.cards th, .table.cards td { display: block; }
  .table.cards thead { display: none; }
  .table.cards tr { border-bottom: 2px solid var(--line); padding: .5rem 0; }
  .table.cards th, .table.cards td { border: 0; padding: .1rem 0; text-align: left; }
  .table.cards [data-title]:not([data-title=""])::before {
    content: attr(data-title) ": "; color: var(--soft); font-weight: 400;
  }
}
@page { margin: 14mm; }
@media print {
  html {
    --ground: #ffffff; --panel: #ffffff; --ink: #000000; --soft: #444444; --line: #bbbbbb; --link: #000000;
    --good: #14632f; --bad: #a31621; --warn: #7a4a00; --good-ground: #ffffff; --bad-ground: #ffffff;
    --warn-ground: #ffffff; --neutral-ground: #ffffff;
    --series-1: #0072b2; --series-2: #d55e00; --series-3: #009e73; --series-4: #b1508a; --series-5: #8a6d00;
    --series-6: #56b4e9;
  }
  nav, .skip { display: none; }
  main { max-width: none; padding: 0; }
  body { font-size: 9.5pt; }
  .table { overflow: visible; }
  table { font-size: 8pt; }
  .table code { white-space: normal; }
  figure svg { max-width: 28rem; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  figure, tr, .notice, dl > div { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  details::details-content { content-visibility: visible; height: auto; }
}
"""
