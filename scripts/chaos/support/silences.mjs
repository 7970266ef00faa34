import { clearInterval, setInterval } from 'node:timers'

/** How an authorization server fails to say whether a token is good. */
export const silences = {
  'status 500': (_req, res) => res.writeHead(500).end('{}'),
  'an HTML page': (_req, res) => res.setHeader('Content-Type', 'text/html').end('<h1>Sign in</h1>'),
  'half of an answer': (_req, res) => res.setHeader('Content-Type', 'application/json').end('{"active":tr'),
  'one byte a second': (_req, res) => drip(res),
  '100 MB': (_req, res) => endless(res),
  never: () => undefined,
}

function drip(res) {
  res.setHeader('Content-Type', 'application/json')
  const timer = setInterval(() => res.write(' '), 1_000)
  res.on('close', () => clearInterval(timer))
}

function endless(res) {
  res.setHeader('Content-Type', 'application/json')
  const chunk = Buffer.alloc(65_536, ' ')
  let left = 1_600
  const more = () => {
    while (left-- > 0) if (!res.write(chunk)) return res.once('drain', more)
    res.end()
  }
  more()
}
