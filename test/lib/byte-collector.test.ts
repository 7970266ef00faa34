import fc from 'fast-check'
import { ByteCollector } from '../../src/lib/byte-collector.js'

test('gives back what it was given, in order, up to its limit exactly', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 20 }),
      fc.nat(20_000),
      (chunks, max) => {
        const collector = new ByteCollector(max)
        const kept: Buffer[] = []
        let room = max
        for (const chunk of chunks.map((bytes) => Buffer.from(bytes))) {
          expect(collector.add(chunk)).toBe(chunk.length <= room)
          if (chunk.length > room) continue
          room -= chunk.length
          kept.push(chunk)
        }
        expect(collector.take()).toEqual(Buffer.concat(kept))
      },
    ),
  )
})

test('keeps no reference to chunks, so that tiny ones cost only their bytes', () => {
  const collector = new ByteCollector(10)
  const chunks = [Buffer.from('a'), Buffer.from('b')]
  for (const chunk of chunks) collector.add(chunk)
  for (const chunk of chunks) chunk[0] = 0x63
  expect(collector.take().toString()).toBe('ab')
})

test('a chunk that comes alone is not copied, unless more memory hangs on it', () => {
  const kept = (chunk: Buffer) => {
    const collector = new ByteCollector(10)
    collector.add(chunk)
    return collector.take()
  }
  const own = Buffer.from(new Uint8Array([0x61]).buffer)
  expect(kept(own).buffer).toBe(own.buffer)
  const part = Buffer.alloc(16_384, 'a').subarray(0, 1)
  expect(kept(part).toString()).toBe('a')
  expect(kept(part).buffer.byteLength).toBeLessThanOrEqual(1_024)
})
