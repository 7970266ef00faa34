import { existsSync } from 'node:fs'
import type { InputOptions, OutputOptions } from 'rolldown'
import { defineConfig } from 'tsdown'
import packageJson from './package.json' with { type: 'json' }
import { bundledLicenses } from './scripts/bundled-licenses.mjs'
import { optionalTypes } from './scripts/optional-types.mjs'

/** Every sub-path that `package.json` exports, from `src/<name>/index.ts` or `src/<name>.ts`. */
const entry = Object.fromEntries(
  Object.keys(packageJson.exports)
    .filter((path) => path !== './package.json')
    .map((path) => path.slice(2) || 'index')
    .map((name) => [name, [`src/${name}/index.ts`, `src/${name}.ts`].find((file) => existsSync(file))!]),
)

/**
 * jose is ESM-only and jwks-rsa requires it; a plain Jest on Node 20 can load neither. The CommonJS build carries both,
 * and what only they depend on. Whatever else would slip into a bundle stops the build.
 */
const esmOnly = ['jose', 'jwks-rsa']
/** Declarations name them, and only those who use what needs them must have them. */
const optionalToTypes = ['supertest']
/** To import this CommonJS module costs Node many times what it costs to run it: docs/decisions/bundled-commonjs.md. */
const dearToImport = ['ipaddr.js']
const theirParts = ['debug', 'limiter', 'lodash.clonedeep', 'lru-cache', 'lru-memoizer', 'ms']

/**
 * One file of what at least two sub-paths stand on, besides the two that load them all: each file more costs Node half a
 * millisecond to find, read and link. Not of declarations.
 */
const together: OutputOptions = {
  codeSplitting: {
    groups: [{ name: 'kernel', test: /[\\/]src[\\/](?:kernel|lib)[\\/][\w-]+\.ts$/, minShareCount: 4 }],
  },
}

const shared = {
  entry,
  dts: true,
  platform: 'node',
  target: 'node20',
  failOnWarn: true,
  // What is loaded late, and at once, is looked for beside the file that asks, in both kinds of module.
  shims: true,
  inputOptions: (options: InputOptions) => ({
    ...options,
    // Where the sources lay is not to be seen in what they became: everybody who builds them gets the same bytes.
    experimental: { ...options.experimental, attachDebugInfo: 'none' as const },
    // Here, because `plugins` does not reach the declarations of CommonJS.
    plugins: [options.plugins, optionalTypes(optionalToTypes)],
  }),
  // How long a plugin took is no flaw of the build.
  checks: { pluginTimings: false },
} as const

export default defineConfig([
  {
    ...shared,
    entry: { ...entry, 'cli/main': 'src/cli/main.ts' },
    format: 'esm',
    fixedExtension: false,
    deps: { alwaysBundle: dearToImport, onlyBundle: dearToImport },
    outputOptions: together,
  },
  {
    ...shared,
    format: 'cjs',
    clean: false,
    deps: {
      alwaysBundle: [...esmOnly, ...dearToImport],
      onlyBundle: [...esmOnly, ...theirParts, ...dearToImport],
      // debug tries it and lives without.
      neverBundle: ['supports-color'],
    },
    // The same Jest has no dynamic import either: what is loaded late is loaded by `require`.
    outputOptions: { ...together, dynamicImportInCjs: false },
    plugins: [bundledLicenses()],
  },
])
