import { readSettings, type Settings } from '../config.ts'

const storeByDefault = 'sqlite:downscope'

/**
 * The settings of a Worker, from its variables and secrets by the same table as everywhere. `sqlite:NAME` names a
 * Durable Object and is the default. Throws a `ConfigurationFault` with every fault there is.
 */
export function readWorkersSettings(bindings: object): Settings {
  const env = Object.fromEntries(Object.entries(bindings).flatMap(textOf))
  const isStoreSet = (env['DOWNSCOPE_STORE'] ?? '').trim() !== ''
  return readSettings(isStoreSet ? env : { ...env, DOWNSCOPE_STORE: storeByDefault }, {
    DOWNSCOPE_POLICY:
      'names a file, and Workers have none: set DOWNSCOPE_POLICY_YAML, or keep it in the store',
    DOWNSCOPE_METRICS_PORT: 'opens a port, and Workers have none',
  })
}

/** Variables of wrangler.toml may be numbers, booleans and tables too; other bindings are no settings. */
function textOf([name, value]: [string, unknown]): readonly [string, string][] {
  switch (typeof value) {
    case 'string':
      return [[name, value]]
    case 'number':
    case 'boolean':
      return [[name, String(value)]]
    case 'object':
      return isTable(value) ? [[name, JSON.stringify(value)]] : []
    default:
      return []
  }
}

function isTable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}
