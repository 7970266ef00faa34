import fc from 'fast-check'
import { certificateIn } from '../../src/identity/certificate-field.js'
import { nameIn } from '../../src/identity/certificate-names.js'

const PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
const escaped = encodeURIComponent(PEM)
const envoy = (value: string) => certificateIn('X-Forwarded-Client-Cert', value)?.toString('base64')

test.each([
  `Cert="${escaped}"`,
  `Cert=${escaped}`,
  `By=spiffe://a;Hash=00;cert="${escaped}";Subject="CN=a\\"b,O=c;d";URI=`,
  `Cert="other",By=;Cert="${escaped}"`,
  `Subject="Cert=x";Cert="${escaped}"`,
  `Cert="other";URI="x,Cert=y",Cert="${escaped}";URI=z;DNS=a`,
])('X-Forwarded-Client-Cert: %s', (value) => {
  expect(envoy(value)).toBe('AAAA')
})

test.each([
  '',
  'Cert',
  'Cert=',
  'Hash=00',
  `Cert="${escaped}`,
  `Cert="${escaped}";Cert="${escaped}"`,
  `Cert="${escaped}",`,
  `Cert="${escaped}",Hash=00`,
  `Cert="${escaped}" ;Hash=00`,
  `Subject="\\";Cert="${escaped}"`,
  'Cert="%"',
  `Hash=00;Cert="other";Subject="";URI=x,Hash=00;Cert="${escaped}";Subject=""`,
  `Hash=00;Cert="other";DNS=x,By=y;Cert="${escaped}"`,
  `URI=,cert="${escaped}"`,
  `Cert="${encodeURIComponent(PEM.replace('AAAA', 'AA=A'))}"`,
  `Cert="${encodeURIComponent(PEM.replace('AAAA', 'AB=='))}"`,
  `Cert="${encodeURIComponent(PEM + PEM)}"`,
  `Cert="${encodeURIComponent(PEM.replaceAll('CERTIFICATE', 'PRIVATE KEY'))}"`,
  `Cert="${escaped}"${';A=b'.repeat(5_000)}`,
])('no X-Forwarded-Client-Cert: %#', (value) => {
  expect(envoy(value)).toBeUndefined()
})

test('no Client-Cert that is huge', () => {
  expect(certificateIn('Client-Cert', `:${'A'.repeat(16_384)}:`)).toBeUndefined()
  expect(certificateIn('Client-Cert', `:${'A'.repeat(16_000)}:`)).toHaveLength(12_000)
})

test('nothing that is sent makes either throw', () => {
  const pieces = fc.constantFrom('Cert=', '"', '\\', ',', ';', '=', '%', escaped, 'a', ':', 'AAAA')
  const texts = fc.oneof(
    fc.string(),
    fc.array(pieces).map((list) => list.join('')),
  )
  fc.assert(
    fc.property(texts, (text) => {
      for (const field of ['Client-Cert', 'X-Forwarded-Client-Cert'] as const) {
        const found = certificateIn(field, text)
        expect(found === undefined || Buffer.isBuffer(found)).toBe(true)
      }
    }),
  )
})

test.each<[string | undefined, string | undefined]>([
  ['DNS:a.example', 'a.example'],
  ['URI:spiffe://x, DNS:a.example, email:a@b.c', 'a.example'],
  ['URI:"x, DNS:evil.example", DNS:a.example', 'a.example'],
  ['DNS:"a\\u0000.example"', 'a\u0000.example'],
  ['DNS:a.example, DNS:b.example', undefined],
  ['IP Address:10.0.0.1', undefined],
  ['DNS:', undefined],
  ['DNS:"open', undefined],
  ['othername:<unsupported>, DNS:a.example', 'a.example'],
  [undefined, undefined],
])('the one name among %s is %s', (subjectAltName, name) => {
  expect(nameIn({ subjectAltName } as never, 'dns')).toBe(name)
})
