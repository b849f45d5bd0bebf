import { isServiceAccountEmail } from '../domain/service-account-email.ts'
import { right, wrong, type Reading } from './setting.ts'

const poolProvider =
  /^\/\/iam\.googleapis\.com\/projects\/\d{1,20}\/locations\/global\/workloadIdentityPools\/[a-z0-9-]{4,32}\/providers\/[a-z0-9-]{4,32}$/

/** The full resource name of a workload identity pool's provider: what Google's STS takes for `audience`. */
export function parsePoolProvider(text: string): Reading<string> {
  if (poolProvider.test(text)) return right(text)
  return wrong(
    'must be //iam.googleapis.com/projects/NUMBER/locations/global/workloadIdentityPools/POOL/providers/PROVIDER, ' +
      'with the number of the project and without https:',
  )
}

/** The e-mail address of a service account; it becomes a part of a URL. */
export function parseServiceAccountEmail(text: string): Reading<string> {
  if (isServiceAccountEmail(text)) return right(text)
  return wrong("must be a service account's e-mail address, which ends in .gserviceaccount.com")
}
