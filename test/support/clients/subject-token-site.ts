import { createServer } from 'node:http'
import { serveOnLoopback, type LoopbackServer } from './loopback-server.ts'

/** What must come along, as a metadata service wants it. */
export const siteHeaders = { 'x-workload': 'exporter' } as const

/** A place on loopback that tells a workload its token, as `{"value": TOKEN}`, and refuses who lacks the header. */
export function startSubjectTokenSite(token: () => Promise<string>): Promise<LoopbackServer> {
  return serveOnLoopback(
    createServer((request, response) => {
      if (request.method !== 'GET' || request.url !== '/token') return void response.writeHead(501).end()
      if (request.headers['x-workload'] !== siteHeaders['x-workload'])
        return void response.writeHead(403).end()
      void token().then((value) => {
        response.setHeader('content-type', 'application/json')
        response.end(JSON.stringify({ value }))
      })
    }),
  )
}
