#!/usr/bin/env node
// `npx downscope`: starts the command line with a Node that can run it, of the package (dist/cli.js) or of the repository
// (src/cli.ts). No dependencies, and nothing newer than Node 20: the TypeScript source needs Node 24, which set-up
// installs beside the other packages.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const source = new URL('../src/cli.ts', import.meta.url)
const ownNode = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url))

// What was compiled once is not compiled again: half of a start. Not in a folder that other users may write to.
const cache = fileURLToPath(new URL('../node_modules/.cache/downscope', import.meta.url))

const [major, minor] = process.versions.node.split('.').map(Number)

if (existsSync(source)) await runSource()
else await runBundle()

async function runSource() {
  if (!existsSync(new URL('../node_modules/commander', import.meta.url)))
    refuse('not set up yet. In its folder: npm run setup')
  else if (major >= 24) await run(source)
  else if (existsSync(ownNode)) runWith(ownNode)
  else refuse(`Node 24 is needed, and this is ${process.version}. npm run setup installs it`)
}

async function runBundle() {
  const bundle = new URL('../dist/cli.js', import.meta.url)
  if (major < 22 || (major === 22 && minor < 15)) {
    const words = ['node', fileURLToPath(import.meta.url), ...process.argv.slice(2)].map(shellWord)
    refuse(
      `Node 22.15 or newer is needed, and this is ${process.version}. Run: npx -p node@24 ${words.join(' ')}`,
    )
    return
  }
  try {
    await run(bundle)
  } catch (error) {
    // The command line itself never rejects: one of its files is missing or cut off.
    if (error.code !== 'ERR_MODULE_NOT_FOUND' && !(error instanceof SyntaxError)) throw error
    refuse('this installation is not complete. Install the package again')
  }
}

async function run(entry) {
  module.enableCompileCache?.(cache)
  await import(entry.href)
}

/** The same command line, the same terminal; ends as it ends. */
function runWith(node) {
  const child = spawn(node, [fileURLToPath(source), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
  })
  // Ctrl-C reaches both; the child decides what it means.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => {
      if (signal !== 'SIGINT') child.kill(signal)
    })
  child.once('error', (error) => refuse(`${node} cannot be started: ${error.message}`))
  child.once('exit', (status, signal) => {
    process.exitCode = status ?? 128 + (signal === 'SIGINT' ? 2 : 15)
  })
}

function shellWord(word) {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`
}

function refuse(sentence) {
  process.stderr.write(`downscope: ${sentence}\n`)
  process.exitCode = 2
}
