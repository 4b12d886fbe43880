// The same in an ECMAScript module.
class Session { constructor(i){ this.id=i; this.user='user'+i; this.data={a:i,b:[i]}; } }
const sessions = new Map();
export function add(i){ sessions.set('k'+i, new Session(i)); }
for (let i=0;i<20000;i++) add(i);
