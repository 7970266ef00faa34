import { open } from 'node:fs/promises'
import { LINE_MAX } from './audit-chain.js'

/** One line of a file, without its end. */
export interface RawLine {
  readonly text: string
  /** No line end follows: the file stops within it. */
  readonly torn: boolean
  /** Longer than any line of ours; `text` is only its beginning. */
  readonly tooLong: boolean
}

const CHUNK = 256 * 1024
const NEWLINE = 10

/** The lines of a file in batches, one per chunk read; memory stays bounded whatever the file holds. */
export async function* linesOf(path: string): AsyncGenerator<RawLine[]> {
  const file = await open(path, 'r')
  try {
    const buffer = Buffer.allocUnsafe(CHUNK)
    let rest = ''
    let tooLong = false
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, CHUNK)
      if (bytesRead === 0) break
      const lines: RawLine[] = []
      let start = 0
      for (
        let end = buffer.indexOf(NEWLINE);
        end >= 0 && end < bytesRead;
        end = buffer.indexOf(NEWLINE, start)
      ) {
        lines.push({ text: rest + buffer.toString('latin1', start, end), torn: false, tooLong })
        rest = ''
        tooLong = false
        start = end + 1
      }
      if (!tooLong) rest += buffer.toString('latin1', start, bytesRead)
      if (rest.length > LINE_MAX) {
        tooLong = true
        rest = rest.slice(0, 256)
      }
      yield lines
    }
    if (rest !== '') yield [{ text: rest, torn: true, tooLong }]
  } finally {
    await file.close()
  }
}
