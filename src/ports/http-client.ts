/** One outbound request. Every call states its deadline and size cap where it is made. */
export interface HttpRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | undefined
  /** From the first octet sent to the last one received. */
  readonly timeoutMs: number
  /** Of the body, decoded. */
  readonly maxBytes: number
  /** It goes to a webhook's receiver: of its URL only the host is shown, and its address may have to be public (T34). */
  readonly webhook?: WebhookRequest
}

export interface WebhookRequest {
  /**
   * Whether the address must be one of the public Internet. Node judges the one that each connection is opened to; on
   * Workers nobody can, and what a name resolves to is not judged there.
   */
  readonly mustBePublic: boolean
}

export type HttpResult = HttpAnswer | HttpFailure

export interface HttpAnswer {
  readonly kind: 'answer'
  readonly status: number
  /** By lower-case name. */
  readonly header: (name: string) => string | undefined
  readonly body: string
}

/** No whole answer came; whether the other side acted is unknown, unless `isUnsent`. */
export interface HttpFailure {
  readonly kind: 'failure'
  /** It is certain that nothing of the request reached the other side. */
  readonly isUnsent?: true
  readonly cause: 'timeout' | 'network' | 'too_large' | 'redirect'
  /** For the log; holds no secret. */
  readonly detail: string
}

/** Never follows a redirect, never rejects: what went wrong is a value. */
export type HttpClient = (request: HttpRequest) => Promise<HttpResult>
