import type { MaintenanceReport } from '../lifecycle/maintenance.ts'
import type { MaintenanceDocument } from './document-schemas/maintenance.ts'

/** What `maintenance:run` shows. */
export function maintenanceDocument(report: MaintenanceReport): MaintenanceDocument {
  const { begun, rotations, removed, probed, swept, faults, isMoreLeft } = report
  return {
    begun: [...begun],
    rotations: rotations.map(({ credential, step, reason }) => ({ credential, step, reason })),
    removed: removed.map(({ credential, version }) => ({ credential, version })),
    probed: probed.map(({ credential, works }) => ({ credential, works })),
    swept: { deleted: swept?.deleted ?? 0, more_left: swept?.isMoreLeft ?? true },
    faults: faults.map(({ task, credential, reason }) => ({ task, credential, reason })),
    more_left: isMoreLeft,
  }
}
