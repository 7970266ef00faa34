/** The part of a clock that a deadline needs. */
export interface Timer {
  after(ms: number, callback: () => void): () => void
}

/** `answer`, or a rejection with `late()` if it is not there after `ms` milliseconds. The timer ends with the answer. */
export function inTime<T>(timer: Timer, ms: number, answer: PromiseLike<T>, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = timer.after(ms, () => reject(late()))
    answer.then(
      (value) => {
        cancel()
        resolve(value)
      },
      (error: unknown) => {
        cancel()
        reject(error)
      },
    )
  })
}
