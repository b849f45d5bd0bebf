import { Secret } from '../domain/secret.ts'
import { optional, parseChoice, parseInteger, parseText, right, withDefault, wrong } from './setting.ts'

function parseCollector(text: string) {
  const protocol = URL.parse(text)?.protocol
  return protocol === 'https:' || protocol === 'http:' ? right(text) : wrong('must be an http or https URL')
}

function parseShare(text: string) {
  const value = /^(?:0|1|0?\.\d{1,9}|1\.0*)$/.test(text) ? Number(text) : Number.NaN
  return value <= 1 ? right(value) : wrong('must be a number from 0 to 1')
}

function parseReceiver(text: string) {
  const url = URL.parse(text)
  if (url?.protocol !== 'https:' && url?.protocol !== 'http:') return wrong('must be an https URL')
  if (url.username !== '' || url.password !== '' || url.hash !== '')
    return wrong('must not hold a user, password or fragment')
  return right(url.href)
}

/** Standard Webhooks: 24 to 64 octets. */
function parseWebhookSecret(text: string) {
  const octets = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text)?.[1]
  const bits = (octets?.replaceAll('=', '').length ?? 0) * 6
  return octets !== undefined && octets.length % 4 === 0 && bits >= 24 * 8 && bits < 65 * 8
    ? right(text)
    : wrong('must be whsec_ and 24 to 64 octets in base64')
}

/** `key=value,key2=value2` with percent-encoded values, as OpenTelemetry writes lists. */
function parsePairs(text: string) {
  const pairs = new Map<string, string>()
  for (const pair of text.split(',').filter((one) => one.trim() !== '')) {
    const [, key, value = ''] = /^\s*([\w.-]+)\s*=\s*([\x20-\x7e]*?)\s*$/.exec(pair) ?? []
    if (key === undefined || /%(?![\da-f]{2})/i.test(value))
      return wrong('must be pairs such as name=value,name2=value2')
    try {
      pairs.set(key, decodeURIComponent(value))
    } catch {
      return wrong('must have values that are percent-encoded UTF-8')
    }
  }
  return right<ReadonlyMap<string, string>>(pairs)
}

function parseHeaders(text: string) {
  const pairs = parsePairs(text)
  if (!pairs.ok) return pairs
  if ([...pairs.value].some(([, value]) => /[^\t\x20-\x7e]/.test(value)))
    return wrong('must have values that a header can hold')
  return right<ReadonlyMap<string, Secret>>(
    new Map([...pairs.value].map(([name, value]) => [name, new Secret(value)])),
  )
}

/** What can be seen of the broker from outside. The names that begin with OTEL are OpenTelemetry's own. */
export const telemetrySettings = {
  metricsPort: optional(parseInteger(0, 65_535), {
    name: 'DOWNSCOPE_METRICS_PORT',
    means:
      'A port of its own on which `/metrics` is served as Prometheus text (Node). 0 takes any free port.',
    without: 'no port for metrics',
    example: '9464',
  }),
  metricsHost: withDefault(parseText, {
    name: 'DOWNSCOPE_METRICS_HOST',
    means: 'The address that port listens on. Requests by the name of another host are refused.',
    default: '127.0.0.1',
    example: '0.0.0.0',
  }),
  metricsCredentials: withDefault(parseChoice(['named', 'summed']), {
    name: 'DOWNSCOPE_METRICS_CREDENTIALS',
    means:
      'Whether metrics name credentials: `named` or `summed`. With more than 1,000 credentials they are summed anyway.',
    default: 'named',
    example: 'summed',
  }),
  webhookUrl: optional(parseReceiver, {
    name: 'DOWNSCOPE_WEBHOOK_URL',
    means:
      'The https URL that events are sent to by POST, as Standard Webhooks has it; logs and answers show its host alone. ' +
      'A secret.',
    without: 'events are logged and recorded, and sent nowhere',
    example: 'https://hooks.acme.example/downscope',
  }),
  webhookSecret: optional(parseWebhookSecret, {
    name: 'DOWNSCOPE_WEBHOOK_SECRET',
    means: 'What each of these requests is signed with: `whsec_` and 24 to 64 octets in base64. A secret.',
    without: 'required with `DOWNSCOPE_WEBHOOK_URL`',
    example: 'whsec_$(openssl rand -base64 32)',
  }),
  webhookAllowPrivate: withDefault(parseChoice(['true', 'false']), {
    name: 'DOWNSCOPE_WEBHOOK_ALLOW_PRIVATE',
    means:
      'Whether that URL may be http, or at an address that is not of the public Internet. On Workers only an address in ' +
      'the URL itself can be judged, not what a name resolves to.',
    default: 'false',
    example: 'true',
  }),
  otlpEndpoint: optional(parseCollector, {
    name: 'OTEL_EXPORTER_OTLP_ENDPOINT',
    means:
      'The OpenTelemetry collector that metrics and traces are sent to by OTLP over HTTP, as JSON. On Node the exporter reads ' +
      'the other standard `OTEL_EXPORTER_OTLP_…` variables itself, such as `…_CERTIFICATE`; on Workers those listed here are all.',
    without: 'nothing is sent',
    example: 'http://127.0.0.1:4318',
  }),
  otlpMetricsEndpoint: optional(parseCollector, {
    name: 'OTEL_EXPORTER_OTLP_METRICS_ENDPOINT',
    means: 'The same for metrics alone, with its path.',
    without: '`OTEL_EXPORTER_OTLP_ENDPOINT`',
    example: 'http://127.0.0.1:4318/v1/metrics',
  }),
  otlpTimeout: withDefault(parseInteger(1, 60_000), {
    name: 'OTEL_EXPORTER_OTLP_TIMEOUT',
    means: 'How long a collector may take to answer; on Workers 10 s at most.',
    unit: 'milliseconds',
    default: '10000',
    example: '3000',
  }),
  otlpHeaders: optional(parseHeaders, {
    name: 'OTEL_EXPORTER_OTLP_HEADERS',
    means: 'Headers for the collector, with percent-encoded values. A secret.',
    without: 'none',
    example: 'authorization=Bearer%20TOKEN',
  }),
  otlpTemporality: withDefault(
    (text) => parseChoice(['cumulative', 'delta', 'lowmemory'])(text.toLowerCase()),
    {
      name: 'OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE',
      means:
        'Whether what is sent counts from the start of the instance (`cumulative`), as Prometheus and Google Cloud want it, or since ' +
        'it was last sent (`delta`).',
      default: 'cumulative',
      example: 'delta',
    },
  ),
  otelServiceName: optional(parseText, {
    name: 'OTEL_SERVICE_NAME',
    means: 'The service that metrics and traces are of.',
    without: '`downscope`',
    example: 'tokens',
  }),
  otelResource: optional(parsePairs, {
    name: 'OTEL_RESOURCE_ATTRIBUTES',
    means: "What else is to be said of where they come from. `service.instance.id` is the broker's own.",
    without: 'nothing',
    example: 'deployment.environment.name=production',
  }),
  otelMetricsExporter: optional(parseText, {
    name: 'OTEL_METRICS_EXPORTER',
    means: '`none` sends no metrics although there is a collector.',
    without: '`otlp`',
    example: 'none',
  }),
  otlpTracesEndpoint: optional(parseCollector, {
    name: 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    means: 'The same for traces alone, with its path.',
    without: '`OTEL_EXPORTER_OTLP_ENDPOINT`',
    example: 'http://127.0.0.1:4318/v1/traces',
  }),
  otelTracesExporter: optional(parseText, {
    name: 'OTEL_TRACES_EXPORTER',
    means: '`none` sends no traces although there is a collector.',
    without: '`otlp`',
    example: 'none',
  }),
  otelTracedShare: withDefault(parseShare, {
    name: 'OTEL_TRACES_SAMPLER_ARG',
    means: 'The share of token requests that are traced, from 0 to 1. What a caller sampled does not count.',
    default: '1',
    example: '0.1',
  }),
  otelTracesDelay: withDefault(parseInteger(1, 3_600_000), {
    name: 'OTEL_BSP_SCHEDULE_DELAY',
    means: 'How long traces wait to be sent together; on Workers 15 s at most.',
    unit: 'milliseconds',
    default: '5000',
    example: '1000',
  }),
  otelInterval: withDefault(parseInteger(100, 86_400_000), {
    name: 'OTEL_METRIC_EXPORT_INTERVAL',
    means: 'How often metrics are sent; on Workers every 15 s at least, while there are requests.',
    unit: 'milliseconds',
    default: '60000',
    example: '15000',
  }),
  otelDisabled: optional(parseText, {
    name: 'OTEL_SDK_DISABLED',
    means: '`true` sends nothing, whatever else is set.',
    example: 'true',
  }),
} as const
