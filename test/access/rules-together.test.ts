import express5 from 'express'
import express4 from 'express4'
import fc from 'fast-check'
import request from 'supertest'
import type { AccessPolicies, AccessPolicy } from '../../src/index.js'
import type { RouteProtections } from '../../src/order.js'
import { testApi } from '../support/api.js'

/** What one policy may say, and whether that lets in. */
const WORDS: Record<string, [AccessPolicy, boolean]> = {
  yes: [() => true, true],
  'yes later': [() => Promise.resolve(true), true],
  'a verdict for it': [() => ({ allow: true, reason: 'x' }), true],
  no: [() => false, false],
  'no later': [() => Promise.resolve(false), false],
  'a verdict against it': [() => Promise.resolve({ allow: false, rule: 'r' }), false],
  'nothing at all': [(() => undefined) as never, false],
  'a text': [(() => 'yes') as never, false],
  'a failure': [() => Promise.reject(new Error('x')), false],
}

const word = fc.constantFrom(...Object.keys(WORDS))
const words = fc.option(fc.array(word, { minLength: 1, maxLength: 3 }), { nil: undefined })
const isHeld = fc.option(fc.boolean(), { nil: undefined })
const isOwn = fc.option(fc.boolean(), { nil: undefined })

/** What one place says: policies, a permission that the caller has or lacks, an object that is the caller's or not. */
const place = fc.record({ words, isHeld, isOwn })
type Place = typeof place extends fc.Arbitrary<infer T> ? T : never

function protections({ words: said, isHeld: held, isOwn: own }: Place): RouteProtections {
  return {
    ...(said !== undefined && {
      policy: Object.fromEntries(said.map((one, i) => [`p${i}`, WORDS[one]![0]])) satisfies AccessPolicies,
    }),
    ...(held !== undefined && { rbac: held ? 'a:held' : 'a:lacked' }),
    ...(own !== undefined && {
      ownership: { load: () => ({ owner: own ? 'ann' : 'bob' }), owner: 'owner' },
    }),
  }
}

function letsIn({ words: said = [], isHeld: held = true, isOwn: own = true }: Place): boolean {
  return held && own && said.every((one) => WORDS[one]![1])
}

const SETTINGS = { rbac: { permissions: ['a:held', 'a:lacked'] } }

test('no combination of rules lets in what one of them denies (ASVS 8.2.1, 8.2.2)', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        general: words,
        generalOwn: isOwn,
        wide: place,
        exact: place,
        guard: place,
        more: fc.boolean(),
      }),
      async ({ general, generalOwn, wide, exact, guard, more }) => {
        const all = protections({ words: general, isHeld: undefined, isOwn: generalOwn })
        const { api, as } = testApi({
          ...SETTINGS,
          ...(all as object),
          rateLimit: false,
          routes: { '* /orders/*': protections(wide), 'GET /orders/:id': protections(exact) },
        })
        const app = more ? express5() : express4()
        let ran = 0
        app.use(api as never)
        const own = protections(guard)
        const guards = Object.keys(own).length === 0 ? [] : [api.guard(own as never)]
        app.get('/orders/:id', guards as never, (_req: unknown, res: { json: (body: object) => void }) => {
          ran++
          res.json({})
        })
        const reply = await request(app as never)
          .get('/orders/1')
          .set('Authorization', as({ sub: 'ann', permissions: ['a:held'] }))
        const places = [{ words: general, isHeld: undefined, isOwn: generalOwn }, wide, exact, guard]
        const expected = places.every(letsIn)

        expect(ran).toBe(expected ? 1 : 0)
        expect(reply.status === 200).toBe(expected)
        if (!expected) expect([403, 404, 500]).toContain(reply.status)
        expect(reply.text).not.toMatch(/a:|p\d|bob/)
      },
    ),
    { numRuns: 150 },
  )
})
