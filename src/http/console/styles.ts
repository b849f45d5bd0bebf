/**
 * The one style sheet of all pages: the system's fonts, light and dark as the reader's system is, from 320 pixels on.
 * Colours keep at least 4.5:1 against their ground (WCAG 2.2 §1.4.3), edges of controls 3:1 (§1.4.11).
 */
export const styleSheet = `
:root { color-scheme: light dark; --ground: #fff; --raised: #f5f6f8; --text: #1b1f24; --soft: #57606a; --line: #d0d7de;
  --edge: #7d8590; --accent: #0b57d0; --on-accent: #fff; --bad: #b3261e; --bad-ground: #fdeceb; --good: #146c2e; --odd: #7a4f01; --on-bad: #fff; }
@media (prefers-color-scheme: dark) { :root { --ground: #15181c; --raised: #1e2227; --text: #e6e8eb; --soft: #a5adb8;
  --line: #363c44; --edge: #7d8794; --accent: #a8c7fa; --on-accent: #0a2a5e; --bad: #ffb4ab; --bad-ground: #3b1f1d;
  --good: #7fdb9a; --odd: #f0c36d; --on-bad: #3b0907; } }
* { box-sizing: border-box; }
html { font: 100%/1.5 system-ui, sans-serif; background: var(--ground); color: var(--text); }
body { margin: 0; min-height: 100vh; display: flex; flex-direction: column; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; border-radius: 2px; }
.skip { position: absolute; left: -999px; }
.skip:focus { left: 1rem; top: 1rem; background: var(--ground); padding: .5rem; }
.top { border-bottom: 1px solid var(--line); background: var(--raised); }
.bar { max-width: 64rem; margin: 0 auto; padding: .6rem 1rem; display: flex; flex-wrap: wrap; gap: .25rem 1rem;
  align-items: center; justify-content: space-between; }
.brand { font-weight: 650; color: inherit; text-decoration: none; }
.who { display: flex; flex-wrap: wrap; gap: .25rem .75rem; align-items: center; color: var(--soft); overflow-wrap: anywhere; }
nav ul { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap; gap: .25rem 1rem; }
nav a { display: inline-block; padding: .25rem 0; }
nav a[aria-current] { color: inherit; font-weight: 650; text-decoration-thickness: 2px; }
main { flex: 1; width: 100%; max-width: 64rem; margin: 0 auto; padding: 1.25rem 1rem 3rem; }
.narrow { max-width: 40rem; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0 0 1rem; }
h2 { font-size: 1.15rem; margin: 1.75rem 0 .5rem; }
p, ul, dl { margin: 0 0 1rem; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .4rem 1rem; }
dt { color: var(--soft); }
dd { margin: 0; overflow-wrap: anywhere; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; gap: 0; } dd { margin-bottom: .6rem; } }
code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere; }
.note, .alert { border: 1px solid var(--line); border-left: 4px solid var(--edge); background: var(--raised);
  padding: .75rem 1rem; border-radius: 4px; margin: 0 0 1rem; overflow-wrap: anywhere; }
.alert { border-left-color: var(--bad); background: var(--bad-ground); }
.soft { color: var(--soft); }
.actions { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.5rem 0; }
form { margin: 0; }
button, .button { font: inherit; font-weight: 600; padding: .55rem 1.1rem; min-height: 2.75rem; border-radius: 6px;
  border: 1px solid var(--edge); background: var(--ground); color: var(--text); cursor: pointer; text-decoration: none;
  display: inline-flex; align-items: center; }
button.primary, .button.primary { background: var(--accent); border-color: var(--accent); color: var(--on-accent); }
button.small { min-height: 2rem; padding: .2rem .7rem; font-weight: 500; }
@media (max-width: 30rem) { .actions > *, .actions button, .actions .button { width: 100%; justify-content: center; } }
h3 { font-size: 1rem; margin: 1.25rem 0 .5rem; }
.wide > p, .wide > dl, .wide > form:not(.filters) { max-width: 48rem; }
.plain { list-style: none; padding: 0; }
.plain li, ol li { margin: .25rem 0; overflow-wrap: anywhere; }
.field { display: grid; gap: .2rem; margin: 0 0 .75rem; }
label { font-weight: 600; }
input, select, textarea { font: inherit; padding: .5rem .6rem; min-height: 2.75rem; width: 100%; border-radius: 6px;
  border: 1px solid var(--edge); background: var(--ground); color: var(--text); }
input[type=hidden] { display: none; }
textarea { font: .9em/1.45 ui-monospace, monospace; resize: vertical; }
.filters { display: grid; grid-template-columns: repeat(auto-fill, minmax(10rem, 1fr)); gap: 0 1rem; align-items: start;
  margin-bottom: 1rem; }
.send { margin: 0 0 .75rem; }
.links { display: flex; flex-wrap: wrap; gap: .25rem 1.5rem; }
.scroll { overflow-x: auto; margin: 0 0 1rem; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: .92rem; }
th, td { text-align: left; vertical-align: top; padding: .45rem .7rem; border-top: 1px solid var(--line); min-width: 6rem;
  max-width: 22rem; overflow-wrap: anywhere; }
td form, td .send { margin: 0; }
thead th { border-top: 0; color: var(--soft); font-weight: 600; background: var(--raised); white-space: nowrap; }
tbody th { font-weight: 600; }
td .word { white-space: nowrap; }
.filters .send { align-self: end; }
.badge { display: inline-block; padding: 0 .5rem; border: 1px solid var(--edge); border-radius: 1rem; font-size: .85rem;
  white-space: nowrap; }
.badge.good { color: var(--good); border-color: currentColor; } .badge.bad { color: var(--bad); border-color: currentColor; }
.badge.odd { color: var(--odd); border-color: currentColor; }
button.danger { background: var(--bad); border-color: var(--bad); color: var(--on-bad); }
pre { margin: 0; padding: .6rem .8rem; font: .85rem/1.5 ui-monospace, monospace; overflow-x: auto; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.scroll pre { white-space: pre; overflow: visible; }
.numbered { counter-reset: line; }
.numbered span { display: block; counter-increment: line; }
.numbered span::before { content: counter(line); display: inline-block; width: 3.5em; padding-right: 1em; text-align: right;
  color: var(--soft); user-select: none; }
.numbered span:target { background: var(--bad-ground); }
.diff span { display: block; } .diff .added { color: var(--good); } .diff .removed { color: var(--bad); }
.diff .hunk { color: var(--soft); }
.note h2, .alert h2 { margin-top: 0; }
.alert > :last-child, .note > :last-child { margin-bottom: 0; }
details.same { margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: .75rem; }
summary { cursor: pointer; font-weight: 600; padding: .25rem 0; }
details.same pre { background: var(--raised); border-radius: 6px; margin: .5rem 0; }
.plot { width: 100%; max-width: 48rem; height: auto; display: block; }
.plot line { stroke: var(--edge); } .plot .issued { fill: var(--accent); } .plot .refused { fill: var(--bad); }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; }
.key.issued { background: var(--accent); } .key.refused { background: var(--bad); }
footer { border-top: 1px solid var(--line); color: var(--soft); font-size: .9rem; }
`

/** Named by what is in it, so that a browser may keep it for good. */
export const styleName = `style.${digestOf(styleSheet)}.css`

/** FNV-1a with 32 bits: tells one version of the sheet from another, and secures nothing. */
function digestOf(text: string): string {
  let digest = 0x81_1c_9d_c5
  for (let at = 0; at < text.length; at += 1)
    digest = Math.imul(digest ^ text.charCodeAt(at), 0x01_00_01_93) >>> 0
  return digest.toString(16).padStart(8, '0')
}
