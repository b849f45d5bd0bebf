/**
 * The program that runs the bundled broker with what V8 compiled of it in runs before. Node's own compile cache has what
 * is compiled when a file is read; this one has the functions too that a start and a first request call, which is most
 * of what a start would compile. Code of another Node does not fit: then it is compiled as ever. With `keepsCode` the
 * program leaves what there is at its end for the next run, which adds to it.
 */
export function doorSource({ keepsCode }: { readonly keepsCode: boolean }): string {
  return `import { readFileSync${keepsCode ? ', writeFileSync' : ''} } from 'node:fs'
import { createRequire, enableCompileCache } from 'node:module'
import { Script } from 'node:vm'

const require = createRequire(import.meta.url)
const file = import.meta.dirname + '/broker.cjs'
const head = '(function(require,module,exports,__filename,__dirname){'
const script = new Script(head + readFileSync(file, 'utf8') + '\\n})', {
  filename: new URL('broker.cjs', import.meta.url).href,
  columnOffset: -head.length,
  cachedData: compiledBefore(),
})
${keepsCode ? "process.once('exit', () => writeFileSync(file + '.code', script.createCachedData()))\n" : ''}script.runInThisContext()(read, { exports: {} }, {}, file, import.meta.dirname)

function read(name) {
  // The SDK beside it is a module, for Node to keep. Portable: an image may have it at another path than the build.
  if (name.startsWith('.')) enableCompileCache({ directory: import.meta.dirname + '/compile-cache', portable: true })
  return require(name)
}

function compiledBefore() {
  try {
    return readFileSync(file + '.code')
  } catch {
    return undefined
  }
}
`
}
