export interface Admin {
  readonly brokerUrl: string
  readonly bearer: string
}

export interface SampleEnrolment {
  readonly name: string
  /** By default Google. */
  readonly upstream?: string
  readonly secret: object
  readonly scopes?: readonly string[]
}

/** Enrols by the admin API, as anybody would. Throws with the broker's words. */
export async function enrol({ brokerUrl, bearer }: Admin, enrolment: SampleEnrolment): Promise<void> {
  const response = await fetch(`${brokerUrl}/v1/admin/credentials`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify(enrolment),
  })
  const text = await response.text()
  if (response.status !== 201)
    throw new Error(`${enrolment.name} was not enrolled: ${response.status} ${text}`)
}
