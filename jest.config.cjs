/** ESM-only parts are compiled for Jest, which cannot `require` them before Node 24.9. */
const esmOnly = ['jose', 'oidc-provider', 'oauth4webapi', 'openid-client']

module.exports = {
  testEnvironment: 'node',
  // Nothing is timed; this only ends what hangs, on a machine that is busy with other things too.
  testTimeout: 120_000,
  // By itself Jest leaves one core idle: on two of them, half the machine.
  maxWorkers: '100%',
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': ['$1.ts', '$1.js'] },
  transform: {
    '^.+\\.(ts|m?js)$': ['@swc/jest', { jsc: { target: 'es2022' }, module: { type: 'commonjs' } }],
  },
  transformIgnorePatterns: [`/node_modules/(?!(${esmOnly.join('|')})/)`],
  setupFiles: ['<rootDir>/test/support/seed.ts'],
  setupFilesAfterEnv: ['<rootDir>/test/support/watch-secrets.ts'],
  globalSetup: '<rootDir>/test/support/redis-server.cjs',
  globalTeardown: '<rootDir>/test/support/redis-server-stop.cjs',
}
