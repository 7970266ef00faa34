import { defineConfig } from 'tsdown'

const entry = {
  index: 'src/index.ts',
  testing: 'src/testing/index.ts',
}

/** What is ESM-only, or requires something that is. Bundled into the CommonJS build, so that a plain Jest can load it. */
const esmOnly = [
  /^jose($|\/)/,
  /^jwks-rsa($|\/)/,
  /^lru-memoizer($|\/)/,
  /^limiter($|\/)/,
  /^lru-cache($|\/)/,
]

export default defineConfig([
  { entry, format: 'esm', dts: true, platform: 'node', target: 'node20', fixedExtension: false },
  { entry, format: 'cjs', dts: true, platform: 'node', target: 'node20', clean: false, noExternal: esmOnly },
])
