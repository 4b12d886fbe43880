'use strict';
// An array of the global object.
class User { constructor(i){ this.id=i; this.name='name '+i; this.roles=['a'+i]; } }
globalThis.users = [];
for (let i=0;i<20000;i++) globalThis.users.push(new User(i));
