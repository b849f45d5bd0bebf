#!/usr/bin/env node
// `npx downscope`: starts the command line with a Node that can run it. No dependencies, and nothing newer than Node
// 20: the TypeScript source needs Node 24, which set-up installs beside the other packages.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module from 'node:module'
import { fileURLToPath } from 'node:url'

const entry = new URL('../src/cli.ts', import.meta.url)
const ownNode = fileURLToPath(new URL('../node_modules/node/bin/node', import.meta.url))

// What was compiled once is not compiled again: half of a start. Not in a folder that other users may write to.
const cache = fileURLToPath(new URL('../node_modules/.cache/downscope', import.meta.url))

if (!existsSync(new URL('../node_modules/commander', import.meta.url))) {
  process.stderr.write('downscope: not set up yet. In its folder: npm run setup\n')
  process.exitCode = 2
} else if (Number(process.versions.node.split('.')[0]) >= 24) {
  module.enableCompileCache?.(cache)
  await import(entry.href)
} else if (existsSync(ownNode)) {
  runWith(ownNode)
} else {
  process.stderr.write(
    `downscope: Node 24 is needed, and this is ${process.version}. npm run setup installs it\n`,
  )
  process.exitCode = 2
}

/** The same command line, the same terminal; ends as it ends. */
function runWith(node) {
  const child = spawn(node, [fileURLToPath(entry), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, NODE_COMPILE_CACHE: cache },
  })
  // Ctrl-C reaches both; the child decides what it means.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => {
      if (signal !== 'SIGINT') child.kill(signal)
    })
  child.once('error', (error) => {
    process.stderr.write(`downscope: ${node} cannot be started: ${error.message}\n`)
    process.exitCode = 2
  })
  child.once('exit', (status, signal) => {
    process.exitCode = status ?? 128 + (signal === 'SIGINT' ? 2 : 15)
  })
}
