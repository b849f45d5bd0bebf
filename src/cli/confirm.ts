import type { Call } from './command.ts'
import { createFault } from './fault.ts'
import { isInteractive } from './terminal.ts'

/**
 * Goes on only when somebody at a terminal says yes, or `--yes` was given. A script without it is refused: nobody is
 * there who could mean it.
 */
export async function confirm(call: Call, question: string): Promise<void> {
  if (call.has('--yes')) return
  const { terminal } = call
  if (!isInteractive(terminal))
    throw createFault('usage', 'this asks before it does anything, and there is no terminal to ask at', {
      hints: ['With --yes it does not ask.'],
    })
  const prompts = await import('@clack/prompts')
  const answer = await prompts.confirm({
    message: question,
    initialValue: false,
    input: terminal.stdin,
    output: terminal.stderr,
    withGuide: false,
  })
  if (prompts.isCancel(answer)) throw createFault('interrupted', 'interrupted: nothing was done')
  if (!answer) throw createFault('refused', 'nothing was done')
}
