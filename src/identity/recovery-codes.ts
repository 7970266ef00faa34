import { randomInt } from 'node:crypto'

/** Without I, L, O and U, which are misread or spell words (Crockford's base 32). */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const LENGTH = 24
const BARE = /^[0-9A-HJKMNP-TV-Z]{24}$/

/** New codes, as people get them: 120 bits each, so that a keyed hash is enough (ASVS 6.5.2, 6.5.3). */
export function newRecoveryCodes(count: number): string[] {
  return Array.from({ length: count }, () => {
    const code = Array.from({ length: LENGTH }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
    return code.match(/.{6}/g)!.join('-')
  })
}

/** The code itself, however it was typed; `undefined` for what is none. */
export function bareCode(text: string): string | undefined {
  if (text.length > 2 * LENGTH) return undefined
  const bare = text.toUpperCase().replace(/[\s-]/g, '').replace(/O/g, '0').replace(/[IL]/g, '1')
  return BARE.test(bare) ? bare : undefined
}
