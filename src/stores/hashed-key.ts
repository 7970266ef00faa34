import { hash } from 'node:crypto'

/** A key as a backend sees it: of one length, and without a character that means something there (ASVS 1.3.9). */
export function hashedKey(key: string): string {
  return hash('sha256', key, 'base64url')
}
