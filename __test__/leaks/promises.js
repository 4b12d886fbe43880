'use strict';
// Promises that all wait for one that never settles.
class Row { constructor(i){ this.id=i; this.value='value '+i; this.cells=[{i},{i}]; } }
const ready = new Promise(() => {});
let tail = ready;
function later(row){ tail = tail.then(() => row); }
for (let i=0;i<10000;i++) later(new Row(i));
exports.later=later; exports.ready = ready;
