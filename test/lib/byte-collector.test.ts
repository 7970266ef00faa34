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

test('keeps no reference to a chunk, so that tiny chunks cost only their bytes', () => {
  const collector = new ByteCollector(10)
  const chunk = Buffer.from('a')
  collector.add(chunk)
  chunk[0] = 0x62
  expect(collector.take().toString()).toBe('a')
})
