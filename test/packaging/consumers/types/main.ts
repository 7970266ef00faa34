// The same, in TypeScript: compiled as a user's project is, and run. node main.js <framework> <algorithm>
import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import connect from 'connect'
import express from 'express'
import { bearer, contextOf, secureApi, type SecureApi } from 'secure-api'
import { localIssuer, type LocalIssuerOptions } from 'secure-api/testing'

const apps: Record<string, (api: SecureApi) => RequestListener> = {
  express(api) {
    const app = express()
    app.use(api)
    app.get('/orders', api.guard({ rbac: 'orders:read' }), (req, res) => {
      res.json({ subject: req.security?.principal?.subject })
    })
    app.use(api.errors())
    return app
  },
  connect(api) {
    const app = connect()
    app.use(api)
    app.use('/orders', answer)
    app.use(api.errors())
    return app
  },
  http: (api) => api.protect(answer),
}

function answer(req: IncomingMessage, res: ServerResponse): void {
  res.setHeader('Content-Type', 'application/json')
  res.end(JSON.stringify({ subject: contextOf(req)?.principal?.subject }))
}

async function main(name: string, algorithm: NonNullable<LocalIssuerOptions['algorithm']>): Promise<void> {
  const issuer = localIssuer({ algorithm })
  const api = secureApi({
    auth: [bearer({ issuer: issuer.issuer, audience: issuer.audience })],
    rbac: { roles: { clerk: ['orders:read'] } },
    audit: { logger: { info: () => undefined, warn: () => undefined, error: () => undefined } },
    fetch: issuer.fetch,
    routes: { 'GET /orders': { rbac: 'orders:read' } },
  })
  const server = createServer(apps[name]!(api))
  await once(server.listen(0, '127.0.0.1'), 'listening')
  const { port } = server.address() as AddressInfo

  const tokens = {
    nobody: undefined,
    forger: localIssuer({ algorithm }).mint(),
    stranger: issuer.mint(),
    clerk: issuer.mint({ roles: ['clerk'] }),
  }
  const answers: Record<string, unknown> = {}
  for (const [who, token] of Object.entries(tokens)) {
    const reply = await fetch(`http://127.0.0.1:${port}/orders`, {
      headers: { Connection: 'close', ...(token !== undefined && { Authorization: `Bearer ${token}` }) },
    })
    const { code, subject } = (await reply.json()) as { code?: string; subject?: string }
    answers[who] = [reply.status, code ?? subject, reply.headers.get('X-Content-Type-Options')]
  }
  server.close()
  await api.close()
  console.log(JSON.stringify(answers))
}

void main(process.argv[2]!, process.argv[3] as 'ES256' | 'EdDSA')
