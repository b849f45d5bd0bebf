import { Ajv2020 } from 'ajv/dist/2020.js'
import openApi from '../../src/http/openapi.json' with { type: 'json' }
import { isMembers, type Members } from '../../src/domain/json.ts'

export interface AnswerSeen {
  /** `GET /v1/admin/policy`, with or without a query. */
  readonly line: string
  readonly status: number
  readonly contentType: string | null
  readonly text: string
}

/** What is wrong with an answer by the OpenAPI document: a route, status, type or member that it does not have. */
export function judgeByOpenApi({ line, status, contentType, text }: AnswerSeen): readonly string[] {
  const [method = '', target = ''] = line.split(' ')
  const path = target.replace(/\?.*$/, '')
  const template = Object.keys(openApi.paths).find((one) => patternOf(one).test(path))
  if (template === undefined) return [`no path of the document matches ${path}`]
  const responses = at(openApi, 'paths', template, method.toLowerCase(), 'responses')
  const response = resolved(responses?.[String(status)] ?? responses?.['default'])
  if (response === undefined) return [`${method} ${template} has no answer ${status}`]
  const { content } = response
  if (content === undefined) return text === '' ? [] : ['there should be no body']
  const media = at(content, contentType ?? 'none')
  if (media === undefined) return [`${contentType} is no type of this answer`]
  const schema = { ...(isMembers(media['schema']) ? media['schema'] : {}), components: openApi.components }
  const validate = new Ajv2020({
    strict: false,
    formats: { 'date-time': /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/ },
  }).compile(schema)
  validate(contentType === 'application/jsonl' ? text : JSON.parse(text))
  return (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ''}`)
}

function patternOf(template: string): RegExp {
  const escaped = template.replaceAll(/[.]/g, String.raw`\.`)
  return new RegExp(`^${escaped.replaceAll(/\{\w+\}/g, '[^/:]+')}$`)
}

function at(value: unknown, ...names: readonly string[]): Members | undefined {
  let here = value
  for (const name of names) here = isMembers(here) ? here[name] : undefined
  return isMembers(here) ? here : undefined
}

function resolved(response: unknown): Members | undefined {
  if (!isMembers(response)) return undefined
  const { $ref: ref } = response
  return typeof ref === 'string' ? at(openApi, ...ref.slice(2).split('/')) : response
}
