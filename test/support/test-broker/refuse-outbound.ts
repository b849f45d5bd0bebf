import { writeSync } from 'node:fs'
import { blockOutbound } from '../block-outbound.ts'
import { escapeMarker } from './escape-marker.ts'

// Loaded into a program under test before its own code: what would leave this machine is refused and told.
blockOutbound((attempt) => writeSync(2, `${escapeMarker}${attempt}\n`))
