/**
 * The one style sheet of all pages: the system's fonts, light and dark as the reader's system is, from 320 pixels on.
 * Colours keep at least 4.5:1 against their ground (WCAG 2.2 §1.4.3), edges of controls 3:1 (§1.4.11).
 */
export const styleSheet = `
:root { color-scheme: light dark; --ground: #fff; --raised: #f5f6f8; --text: #1b1f24; --soft: #57606a; --line: #d0d7de;
  --edge: #7d8590; --accent: #0b57d0; --on-accent: #fff; --bad: #b3261e; --bad-ground: #fdeceb; --good: #146c2e; }
@media (prefers-color-scheme: dark) { :root { --ground: #15181c; --raised: #1e2227; --text: #e6e8eb; --soft: #a5adb8;
  --line: #363c44; --edge: #7d8794; --accent: #a8c7fa; --on-accent: #0a2a5e; --bad: #ffb4ab; --bad-ground: #3b1f1d;
  --good: #7fdb9a; } }
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
footer { border-top: 1px solid var(--line); color: var(--soft); font-size: .9rem; }
`
