import type { RotationAnswer } from './admin-answers.ts'
import { counted, plain } from './table.ts'

/** Where a rotation stands, in words. */
export function stepWords({ step, failures, reason, next_try_at: next }: RotationAnswer): string {
  const words: Readonly<Record<string, string>> = {
    count: 'looking at the keys there are',
    generate: 'making a key pair',
    upload: 'uploading its certificate',
    create: 'having the upstream make a key',
    prove: 'proving that the new one works',
    overlap: 'the former one stands by',
    disable: 'withdrawing the former one',
    abort: 'taking it back',
  }
  const trouble = reason === undefined ? '' : `: ${plain(reason)}`
  const again = failures === 0 ? '' : ` (tried ${counted(failures, 'time')}, again at ${plain(next)})`
  return `${words[step] ?? plain(step)}${trouble}${again}`
}
