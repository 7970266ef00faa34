import js from '@eslint/js'
import tseslint from 'typescript-eslint'

export default tseslint.config(
  {
    ignores: ['dist/**', 'node_modules/**', '.cache/**', 'coverage/**', 'test/packaging/consumers/types/**'],
  },
  js.configs.recommended,
  {
    files: ['src/**/*.ts', 'test/**/*.ts', '*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      // A port may answer at once or later: `void | Promise` is the contract, not a slip.
      '@typescript-eslint/no-invalid-void-type': 'off',
      // `noUncheckedIndexedAccess` makes an index check of every loop; `!` states what the loop already proves.
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      // A refusal that is built and not returned opens the door.
      'no-restricted-syntax': [
        'error',
        {
          selector: "ExpressionStatement > CallExpression[callee.name='refuse']",
          message: 'Return the refusal; as a statement it lets the request through.',
        },
      ],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-misused-promises': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
  {
    files: ['**/*.{js,mjs,cjs}'],
    languageOptions: {
      globals: Object.fromEntries(
        'process console fetch URL URLSearchParams Buffer setTimeout clearTimeout setImmediate performance structuredClone require module __dirname AbortSignal'
          .split(' ')
          .map((name) => [name, 'readonly']),
      ),
    },
  },
  {
    files: ['examples/*/pages/*.js'],
    languageOptions: {
      globals: Object.fromEntries(
        'document navigator FormData PublicKeyCredential'.split(' ').map((name) => [name, 'readonly']),
      ),
    },
  },
  {
    files: ['**/*.test.js'],
    languageOptions: {
      globals: Object.fromEntries(
        'describe test expect beforeAll afterAll beforeEach afterEach'
          .split(' ')
          .map((name) => [name, 'readonly']),
      ),
    },
  },
)
