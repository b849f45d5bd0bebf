import { expect, onTestFinished, test } from 'vitest'
import { killOnce, killPoints, openRotationSoak } from '../../infra/soak/kill-rotation.ts'
import { createTestWorld } from '../support/test-broker/test-world.ts'

// `npm run soak rotation` kills at every point, ten times each.
test(
  'P28: a broker killed while it uploads a key leaves nothing behind, and another ends the rotation',
  {
    timeout: 180_000,
  },
  async () => {
    // The soak moves the clock of this process too, which runs other files after this one.
    const { now } = Date
    onTestFinished(() => void (Date.now = now))
    const world = await createTestWorld()
    onTestFinished(() => world.close())
    const soak = openRotationSoak(world)
    const broker = await world.yard.start(soak.settings)
    const point = killPoints.find(({ name }) => name === 'uploading, done')
    if (point === undefined) throw new Error('there is no such point any more')

    expect(await killOnce(soak, { broker, point, name: 'busy-sa' })).toMatchObject({ fault: undefined })
  },
)
