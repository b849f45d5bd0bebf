import { damageEachDocument } from '../../test/support/damaged-store.ts'
import type { Proof } from './proof.ts'

const shownMax = 20

/** Whatever becomes of one document, nobody is harmed whom it is not about. */
export const proveDamagedStore: Proof = async (say) => {
  const { kinds, tried, harmed } = await damageEachDocument()
  say(
    `${tried} questions asked beside damaged documents of ${kinds.join(', ')}; ${harmed.length} answered otherwise`,
  )
  return harmed.slice(0, shownMax)
}
