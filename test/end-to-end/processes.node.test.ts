import { describe, vi } from 'vitest'
import { describeLateInstance } from './scenarios/late-instance.ts'
import { describePolicyFile } from './scenarios/policy-file.ts'
import { describeRotation } from './scenarios/rotation.ts'
import { describeSlowSenders } from './scenarios/slow-senders.ts'
import { describeStoreOutage } from './scenarios/store-outage.ts'
import { describeTwoInstances } from './scenarios/two-instances.ts'

// They wait for leases to end and outages to pass, and in one file they wait side by side.
vi.setConfig({ maxConcurrency: 20 })

describe.concurrent('processes', () => {
  describeLateInstance()
  describeRotation()
  describeStoreOutage()
  describeTwoInstances()
  describePolicyFile()
  describeSlowSenders()
})
