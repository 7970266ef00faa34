import fc from 'fast-check'

/**
 * The same cases in every run of the tests, so that a failure is one of the change. `npm run fuzz` looks for new ones. What
 * it finds becomes an example of the property, or a test of its own.
 */
fc.configureGlobal({ seed: Number(process.env['FUZZ_SEED'] ?? 1) })
