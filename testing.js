'use strict';
// For tests: fails when code leaks. See testing.d.ts.

module.exports = require('./lib/testing.js');
