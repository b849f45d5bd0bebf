import type { Finding } from '../compose/examine/finding.ts'
import type { Paint } from './paint.ts'
import { plain } from './table.ts'

/** The findings as a list, and how to mend what is bad or odd below each. */
export function showFindings(findings: readonly Finding[], paint: Paint): string {
  const width = Math.max(...findings.map(({ what }) => what.length))
  return findings.map((finding) => showFinding(finding, width, paint)).join('')
}

function showFinding({ what, verdict, says, mend = [] }: Finding, width: number, paint: Paint): string {
  const [first = '', ...more] = says.split('\n').map(plain)
  const below = [
    ...more,
    ...mend.map((line, at) => `${at === 0 ? paint.bold('mend:') : '     '} ${plain(line)}`),
  ]
  const indent = ' '.repeat(width + 11)
  return `${markOf(verdict, paint)}  ${what.padEnd(width)}  ${first}\n${below.map((line) => `${indent}${line}\n`).join('')}`
}

function markOf(verdict: Finding['verdict'], { good, bad, odd, dim }: Paint): string {
  switch (verdict) {
    case 'good':
      return good('ok     ')
    case 'bad':
      return bad('fault  ')
    case 'odd':
      return odd('look   ')
    case 'unknown':
      return dim('-      ')
  }
}
