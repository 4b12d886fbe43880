// What eslint looks at: hand-written JavaScript. Generated files are the build's business.

import js from '@eslint/js';

const node = {
  AbortController: 'readonly',
  AbortSignal: 'readonly',
  Buffer: 'readonly',
  MessageChannel: 'readonly',
  URL: 'readonly',
  clearInterval: 'readonly',
  clearImmediate: 'readonly',
  clearTimeout: 'readonly',
  console: 'readonly',
  fetch: 'readonly',
  gc: 'readonly',
  performance: 'readonly',
  process: 'readonly',
  queueMicrotask: 'readonly',
  setImmediate: 'readonly',
  setInterval: 'readonly',
  setTimeout: 'readonly',
  structuredClone: 'readonly'
};

export default [
  { ignores: ['binding.js', 'target/', 'npm/', 'viewer/dist/'] },
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2023, globals: node },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      curly: ['error', 'multi-line'],
      eqeqeq: 'error',
      'no-unused-vars': ['error', { varsIgnorePattern: '^_', argsIgnorePattern: '^_' }],
      'no-var': 'error',
      'object-shorthand': 'error',
      'prefer-const': 'error',
      strict: ['error', 'global']
    }
  },
  {
    files: ['**/*.js'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: { __dirname: 'readonly', __filename: 'readonly', exports: 'writable', module: 'writable', require: 'readonly' }
    }
  },
  {
    // The program whose heap the golden files show has one of everything, odd things too.
    files: ['tests/golden/program.mjs'],
    rules: { 'no-sparse-arrays': 'off' }
  }
];
