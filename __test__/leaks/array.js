'use strict';
// A log that only grows, in an array on an object.
class Entry { constructor(i){ this.id=i; this.text='entry '+i; this.tags=['a'+i,'b'+i]; } }
const log = { entries: [], level: 'info' };
function write(i){ log.entries.push(new Entry(i)); }
for (let i=0;i<20000;i++) write(i);
exports.write=write;
