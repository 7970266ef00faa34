import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import type { OnceStore } from '../kernel/ports.js'
import { HOSTILE_KEYS, within, type ContractStore, type Register } from './contract-parts.js'

type Claiming = ContractStore & { readonly once: OnceStore }

const MINUTE = 60_000

/** What every `OnceStore` must do. */
export function onceContract(test: Register<Claiming>): void {
  test('lets the first have it, and nobody else', async ({ once }) => {
    const key = randomUUID()
    assert.equal(await once.claim('contract', key, MINUTE), true)
    assert.equal(await once.claim('contract', key, MINUTE), false)
    assert.equal(await once.claim('contract', key, 1), false)
  })

  test('lets exactly one of many have it that come at once', async ({ once }) => {
    const key = randomUUID()
    const claims = await Promise.all(
      Array.from({ length: 50 }, async () => once.claim('contract', key, MINUTE)),
    )
    assert.equal(claims.filter(Boolean).length, 1)
  })

  test('forgets it when its time is over, and not before', async (store) => {
    const { once, pass } = store
    const { short, long, again } = await within(store, 50, async (mark) => {
      const [short, long] = [`${mark} short`, `${mark} long`]
      await once.claim('contract', long, MINUTE)
      await once.claim('contract', short, 50)
      // A later claim that fails must not make the first one last longer.
      return { short, long, again: await once.claim('contract', short, MINUTE) }
    })
    assert.equal(again, false)
    await pass(55)
    assert.equal(await once.claim('contract', short, MINUTE), true)
    assert.equal(await once.claim('contract', long, MINUTE), false)
  })

  test('keeps spaces and keys apart, whatever is in them (ASVS 1.3.9)', async ({ once }) => {
    const mark = randomUUID()
    for (const expected of [true, false]) {
      for (const space of ['contract', 'contract-two']) {
        for (const key of HOSTILE_KEYS) {
          assert.equal(
            await once.claim(space, mark + key, MINUTE),
            expected,
            JSON.stringify(key.slice(0, 20)),
          )
        }
      }
    }
  })
}
