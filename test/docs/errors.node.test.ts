import { describe, expect, test } from 'vitest'
import { answers } from '../../src/http/answers.ts'
import { readPage } from '../support/guides.ts'

describe('docs/errors.md', () => {
  const page = readPage('docs/errors.md')

  test.each(Object.entries(answers).map(([code, answer]) => ({ code, answer })))(
    'tells of $code what the broker answers',
    ({ code, answer: { status, error } }) => {
      const row = page.split('\n').find((line) => line.startsWith(`| \`${code}\``))
      const isAdmins = row?.split('|').length === 5

      expect(row).toContain(`| ${status} |`)
      if (!isAdmins) expect(row).toContain(`\`${error}\``)
    },
  )
})
