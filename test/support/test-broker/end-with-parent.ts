import { Socket } from 'node:net'

// Loaded into a broker under test before its own code: it dies with whoever started it, however that one ends,
// because then its standard input ends. That input alone is no reason to live on.
process.stdin.once('end', () => process.kill(process.pid, 'SIGKILL'))
process.stdin.resume()
if (process.stdin instanceof Socket) process.stdin.unref()
