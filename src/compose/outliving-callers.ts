import type { Administer } from '../administer.ts'
import { settled } from '../domain/settled.ts'
import type { Background } from '../ports/background.ts'

/**
 * An act of administration is finished, and leaves its record, also when its caller has hung up and nobody waits for
 * it. Whoever asks for a token does not pass here: to register each request in a Worker costs as much as a fifth of
 * it, and what must not be cut off there, `resolve` keeps in the background itself.
 */
export function outlivingCallers(administer: Administer, background: Pick<Background, 'run'>): Administer {
  return (context) => {
    const act = administer(context)
    background.run(() => settled(act))
    return act
  }
}
