import { createServer } from 'node:http'

// A program of its own: the least that Node needs from its start to its first answer.

const answer = JSON.stringify({ access_token: 'the-same-for-everybody' })

createServer((_, response) => {
  response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': answer.length }).end(answer)
}).listen(Number(process.env['PORT']), '127.0.0.1')
