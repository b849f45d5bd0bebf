import type { Serve } from '../compose.ts'
import type { Background } from '../ports/background.ts'

/**
 * What is being served is finished also when its caller has hung up and nobody waits for it: a refresh that is cut off
 * loses a rotated refresh token (P16).
 */
export function outlivingCallers(serve: Serve, background: Pick<Background, 'run'>): Serve {
  return (request) => {
    const answer = serve(request)
    if (answer instanceof Promise)
      background.run(async () => {
        await answer
      })
    return answer
  }
}
