import * as z from 'zod/mini'
import type { AdministerCredentials } from '../enrolment/administer-credentials.ts'
import type { MaintenanceReport } from '../maintenance/maintenance.ts'
import type { AdministerRotation } from '../rotation/administer-rotation.ts'
import { versionDocument, maintenanceDocument, showCredential } from './admin-documents.ts'
import { adminRoute, served, type ServedRoute } from './admin-route.ts'
import type { CredentialDocument, VersionDocument } from './credential-schemas.ts'
import type { MaintenanceDocument } from './document-schemas.ts'
import { creates, shows, jsonBody } from './route-schemas.ts'
import { omitUndefined } from '../domain/omit-undefined.ts'

const broughtSecret = z.strictObject({
  secret: z.looseObject({}),
  scopes: z.exactOptional(z.unknown()),
  withdraw_former: z.exactOptional(z.boolean()),
})

const one = '/v1/admin/credentials/{name}'

/** Viewers look, operators rotate and disable, admins bring and destroy. */
export const rotationRoutes = {
  listVersions: adminRoute({
    at: `GET ${one}/versions`,
    summary: 'The versions of a credential, oldest first, without their secrets',
    needs: 'viewer',
    action: 'version.list',
    answer: shows<{ versions: VersionDocument[] }>(),
  }),
  bringVersion: adminRoute({
    at: `POST ${one}/versions`,
    summary: 'Brings a new secret as the next version, which is proved and then replaces the active one',
    needs: 'admin',
    action: 'version.bring',
    body: jsonBody(broughtSecret),
    answer: creates<CredentialDocument>(),
    ifMatch: true,
  }),
  disableVersion: adminRoute({
    at: `POST ${one}/versions/{version}:disable`,
    summary:
      'Takes a version out of service; no instance that can read the store serves its tokens 10 s later',
    needs: 'operator',
    action: 'version.disable',
    answer: shows<CredentialDocument>(),
    ifMatch: true,
  }),
  destroyVersion: adminRoute({
    at: `POST ${one}/versions/{version}:destroy`,
    summary: 'Drops the secret of a disabled version',
    needs: 'admin',
    action: 'version.destroy',
    answer: shows<CredentialDocument>(),
    ifMatch: true,
  }),
  rotateCredential: adminRoute({
    at: `POST ${one}:rotate`,
    summary: 'Begins to replace a service-account key, or shows the rotation that is under way',
    needs: 'operator',
    action: 'credential.rotate',
    answer: shows<CredentialDocument>(),
    ifMatch: true,
  }),
  abortRotation: adminRoute({
    at: `POST ${one}:abort`,
    summary: 'Takes back a rotation whose new version is not active yet',
    needs: 'operator',
    action: 'credential.abort',
    answer: shows<CredentialDocument>(),
    ifMatch: true,
  }),
  runMaintenance: adminRoute({
    at: 'POST /v1/admin/maintenance:run',
    summary: 'Rotates, removes, probes and sweeps what is due; for a scheduler',
    needs: 'operator',
    action: 'maintenance.run',
    answer: shows<MaintenanceDocument>(),
  }),
} as const

export interface RotationRoutesDeps {
  readonly credentials: AdministerCredentials
  readonly rotation: AdministerRotation
  readonly maintain: () => Promise<MaintenanceReport>
  /** The public URL of a path. */
  readonly locate: (path: string) => string
}

export function serveRotation(deps: RotationRoutesDeps): readonly ServedRoute[] {
  const { credentials, rotation, maintain, locate } = deps
  const routes = rotationRoutes
  return [
    served(routes.listVersions, async ({ param }) => {
      const { versions } = await credentials.read(param('name'))
      return { document: { versions: versions.map((version) => versionDocument(version)) } }
    }),
    served(routes.bringVersion, async ({ param, body, ifMatch, note }) => {
      const name = param('name')
      const { withdraw_former: withdrawFormer, ...file } = body
      const brought = { ...file, ...omitUndefined({ withdrawFormer }) }
      const credential = await rotation.bring(name, brought, ifMatch)
      const candidate = credential.rotation?.candidate
      if (candidate !== undefined) note({ credentialVersion: candidate })
      return { ...showCredential(credential), location: locate(`/v1/admin/credentials/${name}/versions`) }
    }),
    served(routes.disableVersion, async ({ param, ifMatch }) =>
      showCredential(await rotation.disableVersion(param('name'), param('version'), ifMatch)),
    ),
    served(routes.destroyVersion, async ({ param, ifMatch }) =>
      showCredential(await rotation.destroyVersion(param('name'), param('version'), ifMatch)),
    ),
    served(routes.rotateCredential, async ({ param, ifMatch }) =>
      showCredential(await rotation.rotate(param('name'), ifMatch)),
    ),
    served(routes.abortRotation, async ({ param, ifMatch }) =>
      showCredential(await rotation.abort(param('name'), ifMatch)),
    ),
    served(routes.runMaintenance, async () => ({ document: maintenanceDocument(await maintain()) })),
  ]
}
