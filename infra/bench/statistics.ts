/** The middle value, or the mean of the two in the middle. Throws on no values: a median of nothing is no result. */
export function median(values: readonly number[]): number {
  const ordered = values.toSorted((one, other) => one - other)
  const upper = ordered[Math.floor(ordered.length / 2)]
  const lower = ordered[Math.ceil(ordered.length / 2) - 1]
  if (upper === undefined || lower === undefined) throw new RangeError('there is no median of no values')
  return (upper + lower) / 2
}

/**
 * How many times the floor, as the median of the ratios of values that were measured in the same round: what slows
 * the machine down for a while slows both. Throws when a round has one value and not the other.
 */
export function medianRatio(values: readonly number[], floors: readonly number[]): number {
  if (values.length !== floors.length) throw new RangeError('every round needs a value and a floor')
  return median(values.map((value, round) => value / (floors[round] ?? Number.NaN)))
}
