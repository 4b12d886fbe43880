'use strict';
// The native addon, loaded at first use: `require('heaprs')` itself costs next to nothing.

const { fail } = require('./errors.js');

let binding;

function native() {
  if (!binding) {
    try {
      binding = require('../binding.js');
    } catch (error) {
      const platform = `${process.platform}-${process.arch}`;
      throw fail('ERR_HEAPRS_UNAVAILABLE', `heaprs has no native addon for ${platform} here; install it again, or build it with \`npm run build\``, { cause: error });
    }
  }
  return binding;
}

module.exports = { native };
