'use strict';
// Each object keeps the one before it through a variable that only an unused function needs.
let theThing = null;
function replaceThing() {
  const originalThing = theThing;
  const _unused = function () { if (originalThing) return 'hi'; };
  theThing = { longText: Array.from({length: 200}, (_, i) => 'x' + i + Math.random()), someMethod() { return 'm'; } };
}
for (let i=0;i<500;i++) replaceThing();
exports.replaceThing=replaceThing; exports.get=()=>theThing;
