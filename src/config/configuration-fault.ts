export interface SettingFault {
  readonly setting: string
  /** What is wrong, without a word of what was set. */
  readonly fault: string
  readonly example?: string
}

/** Its message lists every fault, one a line, and may be shown to whoever starts the broker. */
export interface ConfigurationFault extends Error {
  readonly name: 'ConfigurationFault'
  readonly faults: readonly SettingFault[]
}

export function createConfigurationFault(faults: readonly SettingFault[]): ConfigurationFault {
  const lines = faults.map(({ setting, fault, example }) => {
    const hint = example === undefined ? '' : ` (for example ${setting}=${example})`
    return `  ${setting} ${fault}${hint}`
  })
  const count = faults.length === 1 ? 'one setting is wrong' : `${faults.length} settings are wrong`
  return Object.assign(new Error(`${count}:\n${lines.join('\n')}`), {
    name: 'ConfigurationFault' as const,
    faults,
  })
}

export function isConfigurationFault(error: unknown): error is ConfigurationFault {
  return error instanceof Error && error.name === 'ConfigurationFault' && 'faults' in error
}
