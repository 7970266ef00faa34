/**
 * A map that never holds more than `limit` entries and needs no timer. New entries go to the young generation; when it
 * is half the limit, it becomes the old one and what was old and unused is gone at once. Use makes an entry young again.
 */
export class Generations<K, V> {
  private young = new Map<K, V>()
  private old = new Map<K, V>()
  private readonly half: number

  /** @param limit most entries held at any time; 0 holds nothing */
  constructor(limit: number) {
    this.half = Math.floor(limit / 2)
  }

  get size(): number {
    return this.young.size + this.old.size
  }

  get(key: K): V | undefined {
    const found = this.young.get(key)
    if (found !== undefined) return found
    const aged = this.old.get(key)
    if (aged === undefined) return undefined
    this.old.delete(key)
    this.set(key, aged)
    return aged
  }

  set(key: K, value: V): void {
    if (this.half === 0) return
    if (this.young.size >= this.half && !this.young.has(key)) {
      this.old = this.young
      this.young = new Map()
    }
    this.old.delete(key)
    this.young.set(key, value)
  }

  delete(key: K): void {
    this.young.delete(key)
    this.old.delete(key)
  }

  clear(): void {
    this.young.clear()
    this.old.clear()
  }
}
