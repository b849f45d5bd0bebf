import { describe, expect, test } from 'vitest'
import {
  renderSettings,
  replaceSettings,
  settingsBegin,
  settingsEnd,
} from '../../infra/docs/settings-table.ts'
import { settingsTable } from '../../src/config/settings-table.ts'

describe('the table of settings in the documentation', () => {
  test('has one row a setting, of three cells', () => {
    const rows = renderSettings().split('\n')

    expect(rows).toHaveLength(Object.keys(settingsTable).length + 2)
    expect(rows.slice(0, 3)).toEqual([
      '| Name | Default | Means |',
      '| --- | --- | --- |',
      expect.stringMatching(/^\| `DOWNSCOPE_ISSUER` \| required \| The broker's public URL/),
    ])
    for (const row of rows) expect(row.split(/(?<!\\)\|/)).toHaveLength(5)
  })

  test('replaces what is between the markers and nothing else, and a second time changes nothing', () => {
    const written = replaceSettings(`# A\n\n${settingsBegin}\nold\n${settingsEnd}\n\nB $& $1\n`)

    expect(written).toBe(`# A\n\n${settingsBegin}\n\n${renderSettings()}\n\n${settingsEnd}\n\nB $& $1\n`)
    expect(replaceSettings(written ?? '')).toBe(written)
  })

  test.each([
    '',
    settingsBegin,
    settingsEnd,
    `${settingsEnd}${settingsBegin}`,
    settingsBegin + settingsEnd + settingsEnd,
  ])('a document without both markers, once each and in order, is refused: %j', (text) => {
    expect(replaceSettings(text)).toBeUndefined()
  })
})
