import { createHttpClient } from '../../adapters/system/http-client.ts'
import type { Settings } from '../../config.ts'
import type { Platform } from '../platform.ts'
import type { Finding } from './finding.ts'
import { judgeClock } from './judge-clock.ts'

const probeMsMax = 10_000

/** What the broker asks: the upstream, and with it what time it is there. */
export async function lookOutside(
  { google }: Settings,
  platform?: Pick<Platform, 'http'>,
): Promise<readonly Finding[]> {
  const http = platform?.http ?? createHttpClient()
  const findings: Finding[] = []
  for (const [what, url] of [
    ['token endpoint', google.oauthTokenUrl],
    ['STS', google.stsTokenUrl],
  ] as const) {
    // Whatever it says to a GET, it is there.
    const result = await http({ method: 'GET', url, timeoutMs: probeMsMax, maxBytes: 1_048_576 })
    if (result.kind === 'failure') {
      const mend = ['May this machine reach it? A proxy or a firewall may be in between.']
      findings.push({ what: 'upstream', verdict: 'bad', says: `${what}: ${result.detail}`, mend })
      continue
    }
    findings.push({ what: 'upstream', verdict: 'good', says: `${what} answers at ${new URL(url).host}` })
    if (what === 'token endpoint') findings.push(judgeClock(result.header('date'), 'the upstream'))
  }
  return findings
}
