import { createServer } from 'node:http'
import { sendJson, testApi } from '../support/api.js'
import { listen, sendRaw } from '../support/raw.js'

const SERVED = 'api.example.com'

/** What clients write to be taken for visitors of another host, or of a served one. */
const FORGERIES: [what: string, host: string][] = [
  ['another host', 'evil.example'],
  ['a served host with a dot at its end', `${SERVED}.`],
  ['a served host as a subdomain', `${SERVED}.evil.example`],
  ['a subdomain of a served host', `evil.${SERVED}`],
  ['a longer name', `evil${SERVED}`],
  ['a shorter name', 'example.com'],
  ['a name with an end', `${SERVED}m`],
  ['the port of HTTP', `${SERVED}:80`],
  ['the port of HTTPS', `${SERVED}:443`],
  ['a port beyond ports', `${SERVED}:99999`],
  ['no port behind the colon', `${SERVED}:`],
  ['a port that is none', `${SERVED}:evil`],
  ['credentials in front', `${SERVED}@evil.example`],
  ['credentials with a port', `${SERVED}:80@evil.example`],
  ['a host behind credentials', `evil.example@${SERVED}`],
  ['a path', `${SERVED}/evil.example`],
  ['a query', `${SERVED}?evil.example`],
  ['a fragment', `${SERVED}#evil.example`],
  ['a backslash', `${SERVED}\\evil.example`],
  ['a list', `${SERVED}, evil.example`],
  ['a list without a space', `${SERVED},evil.example`],
  ['two words', `${SERVED} evil.example`],
  ['a URL', `https://${SERVED}`],
  ['a URL without a scheme', `//${SERVED}`],
  ['percent-encoding', 'api%2eexample.com'],
  ['a script', '<script>alert(1)</script>'],
  ['a quote', `${SERVED}"`],
  ['a semicolon', `${SERVED};evil.example`],
  ['brackets', `[${SERVED}]`],
  ['a loopback address', '127.0.0.1'],
  ['localhost', 'localhost'],
  ['IPv6', '[::1]'],
  ['a mapped address', '[::ffff:127.0.0.1]'],
  ['one number', '2130706433'],
  ['a wildcard', '*'],
  ['a star for a part', '*.example.com'],
  ['an underscore', `_.${SERVED}`],
  ['bytes beyond ASCII', 'api.ex\xe4mple.com'],
  ['the lookalike of a dot', Buffer.from('api\u3002example\uff0ecom').toString('latin1')],
  ['nothing', ''],
  ['a huge name', `${'a'.repeat(1_000)}.${SERVED}`],
  ['a lookup', '${jndi:ldap://evil.example/a}'],
]

/** Fields by which proxies tell what the client asked for. */
const FIELDS = [
  'X-Forwarded-Host',
  'X-Forwarded-Server',
  'X-Forwarded-Port',
  'X-Forwarded-Proto',
  'X-Forwarded-Scheme',
  'X-Host',
  'X-HTTP-Host-Override',
  'X-Original-Host',
  'Forwarded',
]

test('there are at least thirty forms', () => {
  expect(new Set(FORGERIES.map(([, host]) => host)).size).toBe(FORGERIES.length)
  expect(FORGERIES.length).toBeGreaterThanOrEqual(30)
})

describe.each([0, 1])('with %i proxies', (trustProxy) => {
  const setUp = (hosts: readonly string[] | undefined) => {
    let handled = 0
    const { api } = testApi({
      auth: false,
      rateLimit: false,
      trustProxy,
      firewall: hosts === undefined ? {} : { hosts },
    })
    const server = createServer(
      api.protect((_req, res) => {
        handled++
        sendJson(res, { ok: true })
      }),
    )
    beforeAll(() => listen(server))
    afterAll(() => void server.close())
    return {
      handled: () => handled,
      ask: (lines: string) => sendRaw(server, `GET / HTTP/1.1\r\nConnection: close\r\n${lines}\r\n\r\n`),
    }
  }

  describe('an API that names its hosts', () => {
    const { ask, handled } = setUp([SERVED])

    test.each(FORGERIES)('is not served as %s, nor by what a field says', async (_what, host) => {
      const before = handled()
      for (const more of ['X: y', allSay(SERVED)]) {
        const { status, body } = await ask(`Host: ${host}\r\n${more}`)
        expect([status, (JSON.parse(body) as { code: string }).code]).toEqual([400, 'invalid-host'])
      }
      expect(handled()).toBe(before)
    })

    test.each(FORGERIES)('does not look at %s in a field', async (_what, host) => {
      expect((await ask(`Host: ${SERVED}\r\n${allSay(host)}`)).status).toBe(200)
    })
  })

  describe('an API that answers for any', () => {
    const { ask } = setUp(undefined)

    test.each(FORGERIES.filter(([, host]) => host.length > 2))(
      'repeats %s nowhere, and answers as it always does',
      async (_what, host) => {
        const usual = await ask('Host: a')
        for (const lines of [`Host: ${host}`, `Host: a\r\n${allSay(host)}`]) {
          const { status, head, body } = await ask(lines)
          expect([status, body, namesIn(head)]).toEqual([200, usual.body, namesIn(usual.head)])
          expect(head).not.toContain(host)
        }
      },
    )
  })
})

const allSay = (host: string) => FIELDS.map((field) => `${field}: ${host}`).join('\r\n')
/** The names of the fields, none of which may come or go. */
const namesIn = (head: string) => head.split('\r\n').map((line) => line.split(':')[0])
