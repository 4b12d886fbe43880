'use strict';
// A listener for each request, never removed.
const { EventEmitter } = require('node:events');
class Request { constructor(i){ this.id=i; this.body='body '+i; this.headers={ host: 'h'+i, n: [i] }; } }
const bus = new EventEmitter(); bus.setMaxListeners(0);
function handle(request){ bus.on('update', function onUpdate(){ return request; }); }
for (let i=0;i<10000;i++) handle(new Request(i));
exports.handle=handle; exports.bus=bus;
