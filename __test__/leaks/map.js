'use strict';
// A Map that nothing is ever deleted from, in a CommonJS module.
class Session { constructor(i){ this.id=i; this.user='user'+i; this.data={a:i,b:[i]}; } }
const sessions = new Map();
function add(i){ sessions.set('k'+i, new Session(i)); }
for (let i=0;i<20000;i++) add(i);
exports.add=add;
