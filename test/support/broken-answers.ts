import type { RequestListener, ServerResponse } from 'node:http'

const json = (res: ServerResponse, text: string) =>
  res.setHeader('Content-Type', 'application/json').end(text)

/** What a provider that is broken answers: at once, and to the end or not. */
export const brokenAnswers: Readonly<Record<string, RequestListener>> = {
  'status 500': (_req, res) => res.writeHead(500).end('{}'),
  'status 404': (_req, res) => res.writeHead(404).end('{}'),
  'an HTML page': (_req, res) => res.setHeader('Content-Type', 'text/html').end('<h1>Sign in</h1>'),
  nothing: (_req, res) => res.end(),
  'half of an answer': (_req, res) => json(res, '{"keys":[{"kty":"R'),
  'a list': (_req, res) => json(res, '[{"active":true}]'),
  null: (_req, res) => json(res, 'null'),
  'members of other types': (_req, res) =>
    json(
      res,
      '{"issuer":1,"jwks_uri":2,"keys":3,"active":"true","access_token":4,"id_token":5,"token_type":6}',
    ),
  'ten megabytes': (_req, res) => {
    res.setHeader('Content-Type', 'application/json')
    res.write('{"active":true,"keys":[],"padding":"')
    for (let n = 0; n < 160; n++) res.write('x'.repeat(65_536))
    res.end('"}')
  },
  'a redirect': (_req, res) => res.writeHead(307, { Location: '/elsewhere' }).end(),
  'a connection that is cut': (req) => void req.socket.destroy(),
  'no HTTP': (req) => void req.socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
}

/** A provider that never comes to an end: it sends a byte now and then. */
export function dripping(): {
  readonly listener: RequestListener
  readonly begun: Promise<void>
  readonly left: Promise<void>
} {
  let begin = () => undefined as void
  let leave = () => undefined as void
  const begun = new Promise<void>((resolve) => (begin = resolve))
  const left = new Promise<void>((resolve) => (leave = resolve))
  const listener: RequestListener = (_req, res) => {
    res.setHeader('Content-Type', 'application/json')
    const timer = setInterval(() => res.write(' '), 20)
    res.on('close', () => {
      clearInterval(timer)
      leave()
    })
    res.write('{')
    begin()
  }
  return { listener, begun, left }
}
