import { readFileSync, rmSync } from 'node:fs'
import { jwtFromPlatform } from '../../src/agent/proofs.ts'
import { brokerBase } from '../../src/client/broker-connection.ts'
import { confirmedAudience, mask, runStep } from './runner.ts'

// The end of the job: revokes the token, and deletes what was written. Bundled to post.js by infra/build-action.ts.

await runStep(async () => {
  const { STATE_token: tokenFile = '', STATE_file: file = '' } = process.env
  if (file !== '') rmSync(file, { force: true })
  if (tokenFile === '') return
  const token = readFileSync(tokenFile, 'utf8')
  rmSync(tokenFile, { force: true })
  mask(token)
  await revoke(token)
})

/** RFC 7009. A token that was not revoked ends by itself, so the job does not fail. */
async function revoke(token: string): Promise<void> {
  const broker = brokerBase(process.env['STATE_broker'] ?? '')
  const audience = await confirmedAudience(broker, process.env['STATE_issuer'] ?? '')
  const jwt = await jwtFromPlatform('github', process.env)(audience)
  mask(jwt)
  const body = new URLSearchParams({
    token,
    subject_token: jwt,
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
  })
  const { status } = await fetch(`${broker}/v1/revoke`, {
    method: 'POST',
    body,
    redirect: 'error',
    signal: AbortSignal.timeout(10_000),
  })
  if (status === 200) process.stdout.write('downscope: the token is revoked\n')
  else process.stdout.write(`::warning::downscope: the token is not revoked, the broker answers ${status}\n`)
}
