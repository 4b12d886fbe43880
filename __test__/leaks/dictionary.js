'use strict';
// An object used as a cache.
const cache = {};
function lookup(key){ return cache[key] ??= { key, result: 'r'+key, parts: [key+'1', key+'2'] }; }
for (let i=0;i<20000;i++) lookup('k'+i);
exports.lookup=lookup;
