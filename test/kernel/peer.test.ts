import { ConfigError } from '../../src/kernel/config-error.js'
import { loadPeer } from '../../src/kernel/peer.js'

test('loads an optional package that is there', () => {
  expect(loadPeer('otpauth', 'totp()')).toHaveProperty('TOTP')
})

test('says which one is missing, for whom, and how to get it', () => {
  const load = () => loadPeer('no-such-package', 'x()')
  expect(load).toThrow(ConfigError)
  expect(load).toThrow('x() needs the package "no-such-package". Run: npm install no-such-package')
})

test('a package that is there and broken says so itself', () => {
  const broken = `${__dirname}/../support/modules/broken.cjs`
  expect(() => loadPeer(broken, 'x()')).toThrow("Cannot find module 'a-part-of-it'")
})
