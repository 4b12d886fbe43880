'use strict';
// Buffers, whose bytes are outside of the JavaScript heap, in a Set.
const pending = new Set();
function receive(n){ pending.add(Buffer.alloc(16384, n)); }
for (let i=0;i<1000;i++) receive(i);
exports.receive=receive;
