import type { Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import type { SecurityContext } from './context.js'
import type { Problem } from './problem.js'
import { ByteCollector } from '../lib/byte-collector.js'
import { inStep } from '../lib/in-step.js'
import { inviteBody } from './unsent-body.js'
import { bodyTimeout, bodyTooLarge, CLOSE, malformedBody } from './body-faults.js'

/** The content codings that are undone (RFC 9110 section 8.4.1), one at a time. `deflate` is the zlib format. */
export const decoders: Readonly<Partial<Record<string, () => Decoder>>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
}

type Decoder = Transform & { readonly bytesWritten: number }

export interface ReceiveLimits {
  readonly maxBytes: number
  readonly timeoutMs: number
}

/**
 * Reads a request's body to its end, so that later parsers find the stream finished. Answers with a refusal as soon as
 * a limit is passed, and stops reading: memory stays within the limit whatever is sent.
 *
 * @param decode undoes the content coding, if there is one
 */
export function receive(
  ctx: SecurityContext,
  { maxBytes, timeoutMs }: ReceiveLimits,
  decode: (() => Decoder) | undefined,
): Promise<Buffer | Problem> {
  const { req } = ctx
  return new Promise((resolve) => {
    const body = new ByteCollector(maxBytes)
    const decoder = decode?.()
    let received = 0
    const wasThere = req.complete
    let early: Buffer | Problem | undefined
    let cancel: (() => void) | undefined

    const finish = (outcome: Buffer | Problem) => {
      req.off('data', take).off('end', end).off('error', abort).off('close', abort)
      decoder?.destroy()
      if (!req.readableEnded) req.pause()
      if (cancel === undefined) return void (early = outcome)
      cancel()
      if (wasThere) resolve(outcome)
      else inStep(() => resolve(outcome))
    }
    /** Most bodies come with their heads, and no time has to be watched for them. */
    const wait = () => {
      if (early !== undefined) return resolve(early)
      cancel = ctx.services.clock.after(timeoutMs, () => finish(bodyTimeout()))
    }
    const take = (chunk: Buffer) => {
      received += chunk.length
      if (received > maxBytes) return finish(bodyTooLarge('received-bytes'))
      if (decoder === undefined) return void body.add(chunk)
      // What waits in the decoder is part of what was received, and so within the limit.
      decoder.write(chunk)
    }
    const end = () => {
      if (decoder === undefined) return finish(body.take())
      if (decoder.readableEnded) return complete(decoder)
      decoder.end()
    }
    const complete = ({ bytesWritten }: Decoder) =>
      finish(bytesWritten === received ? body.take() : malformedBody('trailing-bytes'))
    const abort = () => {
      if (!req.readableEnded) finish(malformedBody('aborted'))
    }

    decoder
      ?.on('data', (chunk: Buffer) => {
        if (!body.add(chunk)) finish(bodyTooLarge('inflated-bytes'))
      })
      .on('end', () => {
        if (req.readableEnded) complete(decoder)
      })
      .on('error', () => finish(malformedBody('invalid-compression', CLOSE)))

    inviteBody(ctx)
    req.on('data', take).on('end', end).on('error', abort).on('close', abort)
    if (wasThere) wait()
    else inStep(wait)
    req.resume()
  })
}
