import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { addVary } from '../../src/lib/vary.js'

test.each<[string | string[] | undefined, string | string[]]>([
  [undefined, 'Origin'],
  ['', 'Origin'],
  ['Accept', 'Accept, Origin'],
  ['Accept, Accept-Encoding', 'Accept, Accept-Encoding, Origin'],
  [['Accept', 'Accept-Encoding'], 'Accept, Accept-Encoding, Origin'],
  ['Origin', 'Origin'],
  ['origin', 'origin'],
  ['Accept,ORIGIN ,X', 'Accept,ORIGIN ,X'],
  [
    ['Accept', 'origin'],
    ['Accept', 'origin'],
  ],
  ['*', '*'],
  ['Accept, *', 'Accept, *'],
  ['X-Origin', 'X-Origin, Origin'],
  ['Original', 'Original, Origin'],
])('%j becomes %j', (present, expected) => {
  const res = new ServerResponse(new IncomingMessage(new Socket()))
  if (present !== undefined) res.setHeader('Vary', present)

  addVary(res, 'Origin')

  expect(res.getHeader('Vary')).toEqual(expected)
})
