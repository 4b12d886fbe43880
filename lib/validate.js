'use strict';
// Options as users pass them, checked: each error names the option, what it should be and what it is.

const { inspect } = require('node:util');
const { fail } = require('./errors.js');

function invalid(name, expected, value) {
  const shown = inspect(value, { depth: 0, breakLength: Infinity });
  return fail('ERR_HEAPRS_INVALID_ARGUMENT', `${name} must be ${expected}, not ${shown}`, { argument: name });
}

// Each check takes (name, value) and returns the value.
const string = (name, value) => {
  if (typeof value !== 'string') throw invalid(name, 'a string', value);
  if (value.includes('\0')) throw invalid(name, 'a string without null bytes', value);
  return value;
};
const path = (name, value) => {
  if (string(name, value) === '') throw invalid(name, 'a path', value);
  return value;
};
const boolean = (name, value) => {
  if (typeof value !== 'boolean') throw invalid(name, 'true or false', value);
  return value;
};
const callback = (name, value) => {
  if (typeof value !== 'function') throw invalid(name, 'a function', value);
  return value;
};
const number = (min, max = Infinity) => (name, value) => {
  if (typeof value !== 'number' || !(value >= min && value <= max)) {
    throw invalid(name, max === Infinity ? `a number of at least ${min}` : `a number from ${min} to ${max}`, value);
  }
  return value;
};
const integer = (min, max = Number.MAX_SAFE_INTEGER) => (name, value) => {
  if (!Number.isInteger(value) || value < min || value > max) throw invalid(name, `an integer from ${min} to ${max}`, value);
  return value;
};
const oneOf = (...allowed) => (name, value) => {
  if (!allowed.includes(value)) throw invalid(name, `one of ${allowed.map((a) => inspect(a)).join(', ')}`, value);
  return value;
};
const abortSignal = (name, value) => {
  if (!(value instanceof AbortSignal)) throw invalid(name, 'an AbortSignal', value);
  return value;
};

// Checks each known option of `given` with its check from `shape`; unknown ones are an error, undefined ones absent.
function options(given, shape, name = 'options') {
  if (given === undefined) return {};
  if (given === null || typeof given !== 'object') throw invalid(name, 'an object', given);
  const checked = {};
  for (const key of Object.keys(given)) {
    if (given[key] === undefined) continue;
    if (!Object.hasOwn(shape, key)) {
      const known = Object.keys(shape).join(', ');
      throw fail('ERR_HEAPRS_INVALID_ARGUMENT', `${name}.${key} is not an option; there are ${known}`, { argument: `${name}.${key}` });
    }
    checked[key] = shape[key](`${name}.${key}`, given[key]);
  }
  return checked;
}

module.exports = { invalid, string, path, boolean, callback, number, integer, oneOf, abortSignal, options };
