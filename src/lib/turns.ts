import type { Timer } from './in-time.js'

/** Lets so many go on at once. The others wait in turn, not for ever and not too many of them. */
export class Turns {
  private going = 0
  private readonly waiting = new Set<() => void>()

  constructor(
    private readonly most: number,
    private readonly mostWaiting: number,
  ) {}

  /** Whether it is one's turn now, or within `waitMs`. Whoever is told so has to call `done`. */
  take(timer: Timer, waitMs: number): boolean | Promise<boolean> {
    if (this.going < this.most) {
      this.going++
      return true
    }
    if (this.waiting.size >= this.mostWaiting) return false
    return new Promise((resolve) => {
      const turn = () => {
        cancel()
        resolve(true)
      }
      const cancel = timer.after(waitMs, () => {
        this.waiting.delete(turn)
        resolve(false)
      })
      this.waiting.add(turn)
    })
  }

  done(): void {
    const [next] = this.waiting
    if (next === undefined) {
      this.going--
      return
    }
    this.waiting.delete(next)
    next()
  }
}
